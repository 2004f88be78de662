#!/usr/bin/env python3
"""Tries to use the local AWS that `local/stack.py run` starts as a web page, another user of the machine or an earlier shell
would. Whoever could create a function there could run a program as the user who started it."""

import base64
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from http.client import HTTPConnection
from pathlib import Path

import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from stack import StackError, aws, target  # noqa: E402

ADDRESS = os.environ["AWS_ENDPOINT_URL"]
HOST = ADDRESS.removeprefix("http://")
PORT = int(HOST.partition(":")[2])
OWN_KEY = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
FUNCTIONS = "/2015-03-31/functions"
PAGES = os.environ["WebUrl"].removeprefix("http://")


def call(method, path, body=b"", key=OWN_KEY, service="lambda", port=PORT, **headers):
    """Sends a request, signed with a key unless that is None; gives status, headers and body of the answer."""
    headers = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        request = AWSRequest(method, f"{ADDRESS}{path}", headers, body)
        SigV4Auth(Credentials(*key), service, os.environ["AWS_REGION"]).add_auth(request)
        headers = dict(request.headers)
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode(errors="replace")
    finally:
        connection.close()


def function(name):
    """What creates a function, as JSON."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as code:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        code.writestr(bootstrap, "#!/bin/sh\nexit 1\n")
    role = aws("lambda").list_functions()["Functions"][0]["Role"]
    wanted = {"FunctionName": name, "Role": role, "Runtime": "provided.al2023", "Handler": "bootstrap"}
    return json.dumps(wanted | {"Code": {"ZipFile": base64.b64encode(packed.getvalue()).decode()}})


def created():
    """The functions that these tests created."""
    pages = aws("lambda").get_paginator("list_functions").paginate()
    return [each["FunctionName"] for page in pages for each in page["Functions"] if each["FunctionName"].startswith("stolen")]


def is_refused(what, *arguments, **more):
    status, headers, body = call(*arguments, **more)
    assert status == 403, f"{what} is answered {status}: {body[:200]}"
    assert not [name for name in headers if name.startswith("access-control-")], f"another site may read the answer to {what}"


def test_whoever_has_the_key_creates_functions():
    status, headers, body = call("POST", FUNCTIONS, function("stolen-by-nobody"))
    assert status == 201, body
    assert not [name for name in headers if name.startswith("access-control-")], headers
    aws("lambda").delete_function(FunctionName="stolen-by-nobody")


def test_web_pages_call_nothing_even_if_they_had_the_key():
    wanted = function("stolen")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin"},
    ):
        is_refused(headers, "POST", FUNCTIONS, wanted, Content_Type="text/plain", **headers)
        is_refused(headers, "POST", FUNCTIONS, wanted, key=None, Content_Type="text/plain", **headers)
        is_refused(headers, "OPTIONS", FUNCTIONS, key=None, Access_Control_Request_Method="POST", **headers)
    assert created() == []


def test_other_hosts_are_not_served():
    wanted = function("stolen")
    for host in ("evil.example", f"evil.example:{PORT}", f"localhost.evil.example:{PORT}", "localhost@evil.example", "127.0.0.2", ""):
        is_refused(f"the host {host}", "POST", FUNCTIONS, wanted, Host=host)
    # The pages' host serves pages and nothing else, whether it has any or not.
    query = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Credential="
    for host in (PAGES, f"00000000.execute-api.localhost:{PORT}"):
        for path in (FUNCTIONS, *(f"{FUNCTIONS}{query}{key}/20260101/eu-central-2/lambda/aws4_request" for key in ("test", OWN_KEY[0]))):
            call("POST", path, wanted, key=None, Host=host)
    assert created() == []


def test_other_keys_are_refused():
    wanted = function("stolen")
    name, secret = OWN_KEY
    for key in (None, ("test", "test"), ("000000000000", "test"), ("000000000000", secret), ("123456789012", "test"), (name, "test"), (name[:-1], secret)):
        is_refused(f"the key {key}", "POST", FUNCTIONS, wanted, key=key)
        is_refused(f"the key {key}", "POST", "/", "Action=ListQueues", key=key, service="sqs", Content_Type="application/x-www-form-urlencoded")
    assert created() == []


def test_ministacks_own_interface_is_closed():
    for host in (HOST, PAGES):
        for method, path in (("GET", "/_ministack/health"), ("POST", "/_ministack/reset"), ("GET", "/_localstack/health"), ("GET", "/health")):
            is_refused(f"{method} {path} of {host}", method, path, Host=host)


def test_what_ministack_serves_without_a_key_is_closed():
    registry = [("GET", "/v2/"), ("GET", "/v2/_catalog"), ("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/1"), ("GET", "/v2/a/tags/list")]
    cognito = [("GET", "/oauth2/authorize"), ("POST", "/oauth2/token"), ("POST", "/login"), ("GET", "/logout"), ("GET", "/a/.well-known/jwks.json")]
    # A path may have a line break.
    broken = [("PUT", "/_ministack/cfn-response/a%0A"), ("POST", "/v2/a%0A/blobs/uploads/"), ("PUT", "/v2/a/manifests/1%0A")]
    for host in (HOST, PAGES):
        for method, path in registry + cognito + broken:
            is_refused(f"{method} {path} of {host}", method, path, Host=host)


def test_there_are_no_websockets():
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    upgrade |= {"Sec_WebSocket_Protocol": "mqtt"}
    for host in (HOST, PAGES, f"iot.eu-central-2.localhost:{PORT}"):
        is_refused(f"a WebSocket of {host}", "GET", "/", key=None, Host=host, **upgrade)


def test_it_and_its_functions_listen_on_loopback_alone():
    aws("lambda").invoke(FunctionName=aws("lambda").list_functions()["Functions"][0]["FunctionName"], Payload=b"{}")
    own = {each.pid for each in psutil.process_iter(["environ"]) if (each.info["environ"] or {}).get("GATEWAY_PORT") == str(PORT)}
    listening = [each.laddr for each in psutil.net_connections("inet") if each.pid in own and each.status == psutil.CONN_LISTEN]
    assert PORT in {address.port for address in listening}, f"not {PORT}, but {listening}"
    assert len(listening) > 1, "no function's interface listens"
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}, listening


def test_no_web_page_takes_the_events_of_a_function():
    aws("lambda").invoke(FunctionName=aws("lambda").list_functions()["Functions"][0]["FunctionName"], Payload=b"{}")
    found = [each.environ() for each in psutil.process_iter() if each.name() == "bootstrap"]
    ports = [each["AWS_LAMBDA_RUNTIME_API"] for each in found if each.get("GATEWAY_PORT") == str(PORT)]
    assert ports, "no function runs"
    for address in ports:
        port = int(address.partition(":")[2])
        for headers in ({"Host": "evil.example"}, {"Host": address, "Origin": "null"}, {"Host": address, "Sec_Fetch_Site": "cross-site"}):
            for method, path in (("GET", "invocation/next"), ("POST", "invocation/1/response"), ("POST", "init/error")):
                is_refused(f"{method} {path} with {headers}", method, f"/2018-06-01/runtime/{path}", key=None, port=port, **headers)


def test_orderctl_with_the_key_of_an_earlier_start_names_make_env():
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "LOCAL0123456789ABCDEF"}
    done = subprocess.run([target() / "debug" / "orderctl", "show", "ord-1"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "`make env`" in done.stderr, done.stderr


def test_a_form_of_another_site_creates_nothing():
    # Imported here, since it needs a browser's driver.
    import browser

    # A form of plain text is sent without asking the server first. Its text is `name=value`.
    name, value = function("stolen")[:-1] + ', "Description": "', '"}'
    form = f"<form method=post enctype=text/plain action='{ADDRESS}{FUNCTIONS}'><input name='{name}' value='{value}'></form>"

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server, browser.driver() as address:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        window = browser.Browser(address)
        # For the browser, the first is another site, and the second another origin of the same site.
        for site in ("localhost", "127.0.0.1"):
            window.open(f"http://{site}:{server.server_port}/")
            window.run("document.forms[0].submit()")
            window.says("Refused: web pages may not call this interface")
        window.close()
        server.shutdown()
    assert created() == []


def main():
    failed, names = 0, sys.argv[1:]
    for name, test in list(globals().items()):
        if not name.startswith("test_") or names and not any(each in name for each in names):
            continue
        said = name[5:].replace("_", " ")
        if "form" in name and not shutil.which("chromedriver"):
            print(f"Left out: {said}. There is no chromedriver.", file=sys.stderr)
            failed += bool(os.environ.get("CI"))
            continue
        try:
            test()
            print(f"{said}: ok", flush=True)
        except (AssertionError, StackError, OSError) as error:
            failed += 1
            print(f"FAILED {said}: {error}", flush=True)
        for left in created():
            aws("lambda").delete_function(FunctionName=left)
    return f"error: {failed} failed" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
