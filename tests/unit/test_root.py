"""What runs as root starts programs with an environment of its own, in which PATH is ours (_common/programs.py)."""

import ast

import pytest
from project import PROJECT

CODE = [*PROJECT.glob("plugins/**/*.py"), *PROJECT.glob("roles/*/files/*.py")]
STARTS = {"run", "Popen", "call", "check_call", "check_output"}  # of subprocess, and of _common/processes.py
# They look along the PATH of whoever calls.
FORBIDDEN = {"os.system", "os.popen", "os.execvp", "os.execlp", "os.spawnvp", "os.posix_spawnp", "subprocess.getoutput"}


def calls(file):
    """Each call of a module's function: its name as it is written, and the names of its arguments."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func), {keyword.arg for keyword in node.keywords}


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(PROJECT)))
def test_no_program_is_started_with_the_environment_of_whoever_calls(file):
    for name, arguments in calls(file):
        module, _dot, function = name.rpartition(".")
        assert name not in FORBIDDEN
        assert function not in ("get_bin_path",)
        assert name != "shutil.which" or "path" in arguments
        if module in ("subprocess", "processes") and function in STARTS:
            assert arguments & {"env", None}, f"{name} has no env"
