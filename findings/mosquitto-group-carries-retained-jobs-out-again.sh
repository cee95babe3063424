#!/bin/sh
# mosquitto 2.0.11 (Debian 12), MQTT 5: workers of one group ($share/...) are to share messages, and a retained message is not
# to be sent on a shared subscription (4.8.2). This broker sends it to each worker that subscribes, and again to each
# whose connection was lost and that subscribes anew, as clients do in on_connect. A job, a configuration or an alert
# that was published with RETAIN is carried out as often as workers start and networks fail, beside the once that it should be.
# Retain Handling 2 ("send none") is obeyed.
#
# Seen (one retained job; who carries it out):
#   worker 1 subscribes: 1
#   worker 2 subscribes: 2
#   both connect anew: 1 2
#   worker 3 with Retain Handling 2: nobody
#   the job is published once more: one of them
set -eu
PATH="$PATH:/usr/sbin"
case $(mosquitto -h 2>&1 | head -n 1) in
*"version 2.0.11"*) ;;
*)
    echo "needs mosquitto 2.0.11: on Debian 12, apt-get install mosquitto" >&2
    exit 2
    ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check paho-mqtt==2.2.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import queue
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(Path(sys.argv[1]) / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
broker = subprocess.Popen(["mosquitto", "-c", f"{sys.argv[1]}/conf"], stderr=subprocess.DEVNULL)
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        time.sleep(0.05)
done: "queue.Queue[str]" = queue.Queue()


def worker(name: str, handling: int = 0) -> mqtt.Client:
    """Connected and subscribed; tells its name for each job it gets."""
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"worker{name}", protocol=mqtt.MQTTv5)
    one.on_message = lambda one, data, message: done.put(name)
    one.on_connect = lambda one, *rest: one.subscribe(
        "$share/workers/jobs", options=SubscribeOptions(qos=1, retainHandling=handling)
    )
    one.connect("127.0.0.1", port)
    one.loop_start()
    return one


def by_whom() -> list[str]:
    """Who got a job within 1.5 s."""
    time.sleep(1.5)
    names = []
    while not done.empty():
        names.append(done.get())
    return sorted(names)


seen = []


def tell(name: str) -> None:
    seen.append(by_whom())
    print(f"{name}:", *(seen[-1] or ["nobody"]))


box = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="box")
try:
    box.connect("127.0.0.1", port)
    box.loop_start()
    box.publish("jobs", "job", qos=1, retain=True).wait_for_publish(10)
    workers = [worker("1")]
    tell("worker 1 subscribes")
    workers.append(worker("2"))
    tell("worker 2 subscribes")
    for one in workers:
        one.reconnect()
    tell("both connect anew")
    workers.append(worker("3", handling=2))
    tell("worker 3 with Retain Handling 2")
    box.publish("jobs", "job", qos=1, retain=True).wait_for_publish(10)
    last = by_whom()
    print("the job is published once more:", "one of them" if len(last) == 1 else last)
    for one in [*workers, box]:
        one.disconnect()
        one.loop_stop()
finally:
    broker.kill()
    broker.wait()
assert seen == [["1"], ["2"], ["1", "2"], []] and len(last) == 1, (seen, last)
PYTHON
