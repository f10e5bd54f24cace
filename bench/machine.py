"""What this machine is, in words for a report; nothing that names it."""

import os
import platform
import subprocess

from bench.contenders import STOCK, find_library


def _line_of(path, prefix):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(prefix):
                    return line.partition(":" if ":" in line else "=")[2].strip().strip('"')
    except OSError:
        pass
    return "unknown"


def cpus():
    """Processors that this process may use, as a list; the last one is the quietest as a rule."""
    return sorted(os.sched_getaffinity(0), reverse=True)


def load():
    return os.getloadavg()[0]


def libraries():
    """Real file name of each library that is put in place of malloc."""
    found = {}
    for name, library in STOCK.items():
        path = library and find_library(library)
        if path:
            found[name] = os.path.basename(os.path.realpath(path))
    return found


def describe(compiler):
    huge = "unknown"
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
            huge = file.read().partition("[")[2].partition("]")[0]
    except OSError:
        pass
    kib = _line_of("/proc/meminfo", "MemTotal").split()[0]
    memory = f"{int(kib) / (1 << 20):.1f} GiB" if kib.isdigit() else kib
    return {"cpu": _line_of("/proc/cpuinfo", "model name"), "cpu_count": os.cpu_count(),
            "memory": f"{memory}, transparent huge pages: {huge}",
            "kernel": f"{platform.system()} {platform.release()}",
            "system": _line_of("/etc/os-release", "PRETTY_NAME"),
            "libc": " ".join(platform.libc_ver()), "compiler": compiler,
            "libraries": libraries()}


def commit(folder):
    """Hash of the commit that folder is at, with "+" when files differ from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True,
                              check=False)
    try:
        head = git("rev-parse", "HEAD")
        if head.returncode:
            return "unknown"
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".",
                      ":(exclude)results", ":(exclude)README.md").stdout.strip()
    except OSError:
        return "unknown"
    return head.stdout.strip() + (" with local changes" if changed else "")
