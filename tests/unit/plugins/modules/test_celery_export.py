"""The module celery_export: it writes what differs, removes what is stale, and touches nothing else."""

import base64
import json

import pytest
from ansible_collections.evenkeel.celery.plugins.modules import celery_export as module
from module_args import patch_module_args

PROGRAMS = {f"evenkeel_{name}.py": "pass\n" for name in ("watchdog", "beat", "heartbeat")}
SECRET = "geheim-9f3a"


def instance(name="w", **options):
    environment = base64.b64encode(json.dumps({"CELERY_BROKER_URL": f"redis://:{SECRET}@redis/0"}).encode()).decode()
    return {"name": name, "app": "shop", "directory": "/srv/shop", "environment": environment, **options}


@pytest.fixture
def export(tmp_path, capsys):
    def run(*workers, directory=tmp_path / "out", check_mode=False, **params):
        arguments = {"target": "kubernetes", "directory": str(directory), "image": "shop:1", "programs": PROGRAMS}
        workers = list(workers or [instance()])
        args = {**arguments, "worker_instances": workers, "_ansible_check_mode": check_mode, **params}
        with patch_module_args(args), pytest.raises(SystemExit):
            module.main()
        printed = capsys.readouterr().out
        assert SECRET not in printed
        return json.loads(printed)

    return run


def there(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_files_are_written_once(export, tmp_path):
    first, second = export(), export()
    assert (first["changed"], second["changed"], second["diff"]) == (True, False, [])
    assert there(tmp_path / "out") == set(first["files"])
    assert SECRET not in "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_check_mode_shows_the_files_and_writes_none(export, tmp_path):
    result = export(check_mode=True)
    assert result["changed"]
    assert {each["before"] for each in result["diff"]} == {""}
    assert any("kind: Deployment" in each["after"] for each in result["diff"])
    assert not (tmp_path / "out").exists()


def test_what_is_not_needed_any_more_is_removed_and_other_files_stay(export, tmp_path):
    export(instance("a"), instance("b"))
    (tmp_path / "out" / "ingress.yaml").write_text("# mine\n")
    (tmp_path / "out" / "link").symlink_to("a.yaml")
    preview = export(instance("a"), check_mode=True)
    result = export(instance("a"))
    assert preview["removed"] == result["removed"] == ["b.yaml"]
    assert "b.yaml" not in there(tmp_path / "out")
    assert {"a.yaml", "ingress.yaml", "link"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize(
    ("target", "example", "copy"),
    [("compose", ".env.example", ".env"), ("kubernetes", "secret.example.yaml", "secret.yaml")],
)
def test_what_somebody_has_made_of_an_example_stays(export, tmp_path, target, example, copy):
    """It has all lines of the example, and secrets."""
    export(target=target)
    (tmp_path / "out" / copy).write_text((tmp_path / "out" / example).read_text() + "secret")
    result = export(target=target)
    assert not result["changed"]
    assert (tmp_path / "out" / copy).read_text().endswith("secret")


@pytest.mark.parametrize("other", [{"project": "other"}, {"target": "compose"}])
def test_files_of_another_export_stay(export, tmp_path, other):
    export()
    before = {path: (tmp_path / "out" / path).read_text() for path in there(tmp_path / "out")}
    result = export(**other)
    assert result.get("failed")
    assert "is not from an export of" in result["msg"]
    assert before == {path: (tmp_path / "out" / path).read_text() for path in there(tmp_path / "out")}


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_not_ours_is_not_replaced(export, tmp_path, link):
    (tmp_path / "out").mkdir()
    (tmp_path / "mine").write_text("mine\n")
    if link:
        (tmp_path / "out" / "w.yaml").symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "out" / "w.yaml").write_text("mine\n")
    result = export()
    assert result["msg"] == (
        f"directory {tmp_path / 'out'}: w.yaml is not from an export of celery to kubernetes. Move it away, or set"
        " another directory."
    )
    assert there(tmp_path / "out") == {"w.yaml"}
    assert (tmp_path / "mine").read_text() == "mine\n"


def test_changes_by_hand_are_overwritten_and_shown(export, tmp_path):
    export()
    path = tmp_path / "out" / "w.yaml"
    before = path.read_text()
    path.write_text(before.replace("revisionHistoryLimit: 3", "revisionHistoryLimit: 4"))
    [change] = export()["diff"]
    assert "revisionHistoryLimit: 4" in change["before"]
    assert path.read_text() == change["after"] == before


def test_all_errors_are_shown_at_once_and_nothing_is_written(export, tmp_path):
    result = export(instance(concurrency=0), project="-", image="")
    assert result["failed"]
    assert len(result["msg"].splitlines()) == 3
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("workers", "says"),
    [
        ({"w": {"replica": 2}}, "celery_export_workers: w: replica. Supported parameters include"),
        ({"w": {"replicas": "many"}}, "celery_export_workers: w:"),
        ({"w": {"autoscale": {}}}, "celery_export_workers: w: missing required arguments: max"),
        ({"w": "2"}, "celery_export_workers: w is not a dictionary of options."),
    ],
)
def test_options_of_a_service_are_checked(export, workers, says):
    assert says in export(workers=workers)["msg"]


def test_a_missing_program_is_refused(export):
    assert export(programs={})["msg"].startswith("programs: evenkeel_heartbeat.py, evenkeel_watchdog.py is missing")


def test_what_the_platform_can_not_do_is_a_warning(export):
    assert "restart_sec can't be set" in json.dumps(export(instance(restart_sec="9s"))["warnings"])


def test_options_of_the_argument_specification_reach_the_files(export, tmp_path):
    export(workers={"w": {"autoscale": {"max": 4}, "cpu": 2}}, defaults={"uid": 7}, beat_instances=[instance("b")])
    assert {"w.yaml", "b.yaml", "keda-authentication.yaml"} <= there(tmp_path / "out")
    text = (tmp_path / "out" / "w.yaml").read_text()
    assert all(part in text for part in ("maxReplicaCount: 4", 'cpu: "2"', "runAsUser: 7"))
