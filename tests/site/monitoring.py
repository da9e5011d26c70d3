#!/usr/bin/env python3
"""Everything in config/monitoring against a real mesh: usage: monitoring.py PARKMESH_BINARY.

Two centrals with traffic, a real Prometheus that scrapes them, a real Alertmanager, a webhook; then one central is killed.
Then the programs that read logs, on the log of that mesh. Prints a line per check, and "N passed, N failed" last.
"""
import gzip
import http.server
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "config" / "monitoring"
BINARY = pathlib.Path(sys.argv[1]).resolve()
ADDRESSES = ["127.0.77.1", "127.0.77.2"]
PROMETHEUS, ALERTMANAGER, WEBHOOK = 29090, 29093, 29099

passed, failed, children, told = 0, 0, [], []


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok   ' if good else 'WRONG'} {name}{'' if good else ': ' + str(detail)}", flush=True)


def eventually(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    return condition()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def query(expression):
    text = get(f"http://127.0.0.1:{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(expression)}")
    answer = json.loads(text or "{}")
    return answer["data"]["result"] if answer.get("status") == "success" else None


def start(*command, log):
    child = subprocess.Popen(command, stdout=log, stderr=log)
    children.append(child)
    return child


def rules():
    """(name, expression) of every rule; the file is YAML, but each of ours is one line."""
    text = (MONITORING / "rules.yml").read_text()
    return re.findall(r"- (?:record|alert): (\S+)\n\s+expr: (.+)", text)


def panels():
    board = json.loads((MONITORING / "grafana" / "parkmesh.json").read_text())
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]


def documented():
    """Every series there can be: a test of src/ops/metrics.rs holds that list against the program."""
    section = (ROOT / "docs" / "http-api.md").read_text().split("### GET /metrics", 1)[1].split("###", 1)[0]
    names = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {f"parkmesh_{name}" for cell in names for name in re.findall(r"`([a-z0-9_]+)", cell)}


def series_named(expression):
    words = re.findall(r"\bparkmesh[a-z0-9_:]*", re.sub(r'"[^"]*"', "", expression))
    return {word for word in words if ":" not in word}


def mesh(work):
    centrals = []
    for n, address in enumerate(ADDRESSES, 1):
        peers = [{"id": f"central-{m}", "ip": other} for m, other in enumerate(ADDRESSES, 1) if m != n]
        settings = {"this_central": {"id": f"central-{n}", "ip": address}, "peer_centrals": peers,
                    "security": {"admin": "open"}}
        (work / f"{n}.json").write_text(json.dumps(settings))
        log = open(work / f"{n}.log", "a", encoding="utf8")
        centrals.append(start(BINARY, "serve", "--config", work / f"{n}.json", "--data-dir", work / f"data{n}", log=log))
    check("the centrals are ready", eventually(lambda: all(get(f"http://{a}:8000/readyz") for a in ADDRESSES), 30))
    return centrals


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def prometheus(work):
    shutil.copy(MONITORING / "rules.yml", work / "rules.yml")
    text = (MONITORING / "prometheus.yml").read_text()
    text = text.replace("192.168.1.101:8000", f"{ADDRESSES[0]}:8000").replace("192.168.1.102:8000", f"{ADDRESSES[1]}:8000")
    text = text.replace("15s", "2s").replace("127.0.0.1:9093", f"127.0.0.1:{ALERTMANAGER}")
    (work / "prometheus.yml").write_text(text)
    text = (MONITORING / "alertmanager.yml").read_text().replace(":9099/", f":{WEBHOOK}/").replace("10s", "1s")
    (work / "alertmanager.yml").write_text(text)
    threading.Thread(target=http.server.HTTPServer(("127.0.0.1", WEBHOOK), Hook).serve_forever, daemon=True).start()
    log = open(work / "prometheus.log", "w", encoding="utf8")
    start("prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb",
          f"--web.listen-address=127.0.0.1:{PROMETHEUS}", log=log)
    start("prometheus-alertmanager", f"--config.file={work}/alertmanager.yml", f"--storage.path={work}/am",
          f"--web.listen-address=127.0.0.1:{ALERTMANAGER}", "--cluster.listen-address=", log=log)
    check("Prometheus scrapes both", eventually(lambda: len(query('up{job="parkmesh"} == 1') or []) == 2, 60))


def files():
    for command in (["promtool", "check", "rules", MONITORING / "rules.yml"],
                    ["promtool", "test", "rules", ROOT / "tests" / "site" / "rules_test.yml"],
                    ["amtool", "check-config", MONITORING / "alertmanager.yml"]):
        ran = subprocess.run(command, capture_output=True, text=True)
        check(" ".join(str(word) for word in command[:3]), ran.returncode == 0, ran.stdout + ran.stderr)


def expressions():
    exposed = set(re.findall(r"^(parkmesh[a-z0-9_]*)", get(f"http://{ADDRESSES[0]}:8000/metrics"), re.M))
    # Series of things that have not happened are not shown.
    exposed |= {"parkmesh_log_lag_events", "parkmesh_restarts_total"} & documented()
    for name, expression in rules() + panels():
        unknown = series_named(expression) - exposed
        check(f"'{name}' names only series that /metrics has", not unknown, unknown)
    for name, expression in panels():
        check(f"panel '{name}' shows something", eventually(lambda e=expression: query(e), 30))
    for name, expression in rules():
        check(f"'{name}' can be computed", query(expression) is not None)
    check("no alert of a healthy mesh fires", not query('ALERTS{alertstate="firing"}'), query('ALERTS{alertstate="firing"}'))


def killed(central):
    central.send_signal(signal.SIGKILL)
    def heard():
        return [alert for message in told for alert in message["alerts"]
                if alert["labels"]["alertname"] == "ParkMeshCentralDown" and alert["status"] == "firing"]
    found = eventually(heard, 120)
    check("the webhook is told that a central is down", found)
    check("by which, with what to do", found and ADDRESSES[1] in found[0]["labels"]["instance"]
          and "systemctl" in found[0]["annotations"]["action"], found)


def logs(work):
    text = (work / "1.log").read_text()
    read = subprocess.run(["mtail", "--one_shot", "--progs", MONITORING / "mtail", "--logs", work / "1.log"],
                          capture_output=True, text=True)
    counted = json.loads(read.stdout or "{}")
    def value(name, *labels):
        values = [one for metric in counted.get(name, []) for one in metric.get("LabelValues", [])]
        return next((one["Value"]["Value"] for one in values if one.get("Labels", []) == list(labels)), None)
    linked = text.count("event=peer_connected")
    check("mtail counts every peer_connected", value("parkmesh_log_lines_total", "INFO", "peer_connected") == linked,
          (linked, read.stdout[:500], read.stderr[:500]))
    check("and knows who is gone", value("parkmesh_log_peer_linked", "central-2") == 0)
    ran = subprocess.run(["fail2ban-regex", "--print-all-matched", str(work / "1.log"),
                          str(MONITORING / "fail2ban" / "parkmesh.conf")], capture_output=True, text=True)
    check("fail2ban's filter is read, and matches no line of a mesh without strangers",
          ran.returncode == 0 and re.search(r", 0 matched, ", ran.stdout), ran.stdout[-500:])


def stranger(work):
    """A central nobody knows knocks at central-1 under an id that is central-2's."""
    settings = {"this_central": {"id": "central-2", "ip": "127.0.77.9"},
                "peer_centrals": [{"id": "central-1", "ip": ADDRESSES[0]}], "security": {"admin": "open"}}
    (work / "9.json").write_text(json.dumps(settings))
    start(BINARY, "serve", "--config", work / "9.json", "--data-dir", work / "data9", log=open(work / "9.log", "w", encoding="utf8"))
    def refused():
        return [line for line in (work / "1.log").read_text().splitlines() if re.search("event=(certificate|peer)_refused", line)]
    lines = eventually(refused, 30)
    check("the log says who was refused", lines)
    ran = subprocess.run(["fail2ban-regex", str(work / "1.log"), str(MONITORING / "fail2ban" / "parkmesh.conf")],
                         capture_output=True, text=True)
    check("fail2ban's filter finds the address", not re.search(r", 0 matched, ", ran.stdout), lines)


def written_by_rsyslog(work):
    """What the journal hands on to rsyslog stands in the file of our example, line by line as the program wrote it."""
    log, socket, written = work / "1.log", work / "journal.sock", work / "rsyslog.log"
    example = (MONITORING / "rsyslog" / "30-parkmesh.conf").read_text().replace("/var/log/parkmesh.log", str(written))
    (work / "30-parkmesh.conf").write_text(example)
    (work / "rsyslog.conf").write_text(f"""module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}")
include(file="{work}/30-parkmesh.conf")
""")
    ran = subprocess.run(["rsyslogd", "-N1", "-f", work / "rsyslog.conf"], capture_output=True, text=True)
    check("rsyslog takes its part", ran.returncode == 0, ran.stdout + ran.stderr)
    start("rsyslogd", "-n", "-f", work / "rsyslog.conf", "-i", work / "rsyslog.pid", log=subprocess.DEVNULL)
    eventually(socket.exists, 10)
    lines = log.read_text().splitlines()
    (work / "told.log").write_text("\n".join(lines) + "\n")
    for tag in ["parkmesh", "another"]:
        subprocess.run(["logger", "--socket", socket, "--tag", tag, "--file", work / "told.log"], check=True)
    def read():
        return written.read_text().splitlines() if written.exists() else []
    eventually(lambda: len(read()) >= len(lines), 10)
    check("and writes the program's lines as they are, and nobody else's", read() == lines, (len(read()), len(lines), read()[:2]))


def rotated(work):
    """The log of a central that runs is cut, and goes on at its beginning."""
    log = work / "1.log"
    before = log.read_text()
    text = (MONITORING / "logrotate" / "parkmesh").read_text().replace("/var/log/parkmesh.log", str(log))
    (work / "logrotate.conf").write_text(text)
    ran = subprocess.run(["logrotate", "--force", "--state", work / "logrotate.state", work / "logrotate.conf"],
                         capture_output=True, text=True)
    check("logrotate takes its file", ran.returncode == 0, ran.stderr)
    request = urllib.request.Request(f"http://{ADDRESSES[0]}:8000/api/p2p/config", b'{"site": {"name": "of the log"}}',
                                     {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request, timeout=5).close()
    lines = eventually(lambda: [line for line in log.read_text().splitlines() if "event=config_saved" in line], 10)
    check("the program goes on in the file that was cut", lines and "\0" not in log.read_text()
          and len(log.read_text()) < len(before), log.read_text()[:500])
    kept = list(work.glob("1.log.1.gz"))
    check("what was there is kept", kept and gzip.open(kept[0], "rt").read().startswith(before), list(work.glob("1.log*")))


def main():
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        files()
        centrals = mesh(work)
        load = start(BINARY, "bench", "--url", f"http://{ADDRESSES[0]}:8000", "--url", f"http://{ADDRESSES[1]}:8000",
                     "--edges", "2", "--rate", "20", "--for", "60s", log=subprocess.DEVNULL)
        prometheus(work)
        load.wait()
        expressions()
        killed(centrals[1])
        logs(work)
        stranger(work)
        written_by_rsyslog(work)
        rotated(work)
    finally:
        for child in children:
            child.kill()
            child.wait()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
