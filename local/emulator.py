#!/usr/bin/env python3
"""Starts MiniStack, the local AWS, as `stack.py` needs it. What is changed about MiniStack itself is in this file."""

from ministack import app

if __name__ == "__main__":
    app.main()
