"""Runs the notebooks and keeps what they show: `make notebooks`, or with the names of some as arguments."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KERNEL = """\
import sys
sys.path += {beside!r}  # Jupyter's own packages, behind those that the notebooks are about
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


def jupyter() -> list[str]:
    """Where `make build/site/.installed` puts Jupyter's packages; nowhere if it has not run."""
    found = ROOT.glob("build/site/venv/lib/python*/site-packages")
    return [str(path) for path in found if path.parent.name == f"python3.{sys.version_info.minor}"]


def execute(path: Path) -> str:
    """The notebook as JSON, with what its cells gave. Raises CellExecutionError at one that fails."""
    sys.path += [folder for folder in jupyter() if folder not in sys.path]
    import nbclient
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder) / "kernels" / "augshard"
        kernel.mkdir(parents=True)
        code = KERNEL.format(beside=[*jupyter(), str(HERE), str(ROOT)])
        argv = [sys.executable, "-c", code, "-f", "{connection_file}"]
        paths = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        environment = {
            "PATH": paths,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "MPLBACKEND": "agg",
        }
        spec = {"argv": argv, "display_name": "Python 3", "language": "python", "env": environment}
        (kernel / "kernel.json").write_text(json.dumps(spec))
        os.environ["JUPYTER_PATH"] = folder
        work = Path(folder) / "work"
        work.mkdir()
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(work)}}
        nbclient.NotebookClient(
            notebook, kernel_name="augshard", timeout=600, coalesce_streams=True, resources=resources
        ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _keep(output)]
    return nbformat.writes(notebook) + "\n"


def _keep(output: Any) -> bool:
    """Leaves out what differs from run to run or machine to machine: progress, logs, second forms."""
    if output.output_type != "stream":
        output.data.pop("image/jpeg", None)
        return True
    lines = [line.rpartition("\r")[2] for line in output.text.splitlines()]
    output.text = "\n".join(line for line in lines if not line.startswith(("listing:", "writing:"))) + "\n"
    return output.name == "stdout" and not output.text.isspace()


def main(names: list[str]) -> None:
    for path in [HERE / f"{name}.ipynb" for name in names] or sorted(HERE.glob("*.ipynb")):
        sys.stdout.write(f"==> {path.relative_to(ROOT)}\n")
        path.write_text(execute(path), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
