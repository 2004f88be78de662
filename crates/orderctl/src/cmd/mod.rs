//! The commands, a file for each.

pub mod answer;
pub mod desk;
pub mod events;
pub mod inbox;
pub mod place;
pub mod retry;
pub mod show;
pub mod watch;

/// Whose orders.
#[derive(clap::Args)]
pub struct RestaurantArgs {
    /// Only orders of this restaurant
    #[arg(long, env = "ORDERCTL_RESTAURANT", value_name = "RESTAURANT_ID")]
    pub restaurant: Option<String>,
}
