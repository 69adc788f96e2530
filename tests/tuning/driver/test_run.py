"""The parts of a run that need no Ray; whole sweeps are in `tests/tuning/test_sweep.py`."""

from __future__ import annotations

import subprocess
import sys


def test_a_module_is_imported_aside_and_whole_once_the_thread_has_ended(tmp_path):
    """In a process of its own: a module may import parts of itself in a circle, as MLflow does."""
    package = tmp_path / "circle"
    package.mkdir()
    (package / "__init__.py").write_text("import time\ntime.sleep(0.3)\nfrom circle import first\nDONE = True\n")
    (package / "first.py").write_text("import time\ntime.sleep(0.3)\nimport circle\n")
    code = (
        "from tuning.driver.run import import_aside\n"
        "thread = import_aside('circle')\n"
        "thread.join()\n"
        "import circle\n"
        "assert circle.DONE\n"
    )
    paths = [str(tmp_path), *sys.path]
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}\n{code}"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
