"""Runs a command and prints the most threads that it had at a time, as often looked at as possible: threads.py COMMAND..."""
import subprocess
import sys

child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stdin=sys.stdin)
most = looks = 0
while child.poll() is None:
    try:
        with open(f"/proc/{child.pid}/status") as status:
            for line in status:
                if line.startswith("Threads:"):
                    most = max(most, int(line.split()[1]))
                    looks += 1
    except OSError:
        pass
print(most)
sys.exit(0 if child.returncode == 0 and looks > 10 else 1)
