#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# redis.py - alloc-stats on redis-server under load, against redis' own count of its memory (it adds
# up malloc_usable_size of every block) and the kernel's.

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

for program in ("redis-server", "redis-cli", "redis-benchmark"):
    if not shutil.which(program):
        skip_all(f"{program} is not installed")
socket = scratch("redis.sock")
server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                           "--daemonize", "no", "--dir", SCRATCH], env=preloaded(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cli(*words):
    return subprocess.run(["redis-cli", "-s", socket, *words], capture_output=True, text=True).stdout


for _ in range(100):
    if "PONG" in cli("ping"):
        break
    time.sleep(0.05)
load = subprocess.Popen(["redis-benchmark", "-s", socket, "-q", "-n", "60000", "-r", "20000", "-d", "500",
                         "-t", "set,lpush,hset,zadd"], stdout=subprocess.DEVNULL)
live, torn = [], []
while load.poll() is None:
    doc = heap(server.pid)
    live.append(doc["heap"]["live"])
    torn.append(doc["reading"]["torn"])
ok(len(live) > 3 and live[-1] > live[0] and sorted(torn)[len(torn) * 3 // 4] <= 1, "under load: every picture is whole",
   (live, torn))
time.sleep(0.3)
used = int(re.search(r"used_memory:(\d+)", cli("info", "memory"))[1])
doc = heap(server.pid)
# redis does not count what libc and Lua allocate for themselves, some hundred KiB.
near(doc["heap"]["live"], used, max(MIB, used // 50), "at rest: live against redis' own count")
near(sum(doc["resident"].values()), smaps(server.pid, "Rss"), MIB // 2,
     "at rest: the parts add up to RSS")
cli("flushall")
doc2 = heap(server.pid)
ok(doc2["heap"]["live"] < doc["heap"]["live"] / 4, "after flushall: live falls",
   (doc["heap"]["live"], doc2["heap"]["live"]))
near(doc2["heap"]["live"], int(re.search(r"used_memory:(\d+)", cli("info", "memory"))[1]), MIB,
     "after flushall: live against redis' own count")
server.terminate()
server.wait()
done()
