"""Which services a play owns, which names it may not have, and what it says of those that may be its own."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import projects
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.projects import Application, Play, Service

PHOTOS, PEAKOPS = Application("photos", "/srv/photos"), Application("peakops", "/srv/peakops")
ONE, OTHER = "~0123456789ab", "~ba9876543210"  # projects without a name


def there(**services):
    """Services on the host, by names with _: (project, application)."""
    return {name: Service("worker", project, application) for name, (project, application) in services.items()}


def play(project="", take_over=(), kind="worker", **applications):
    return Play(kind, project, applications, take_over)


@pytest.mark.parametrize(
    ("wanted", "services", "owned"),
    [
        # A project's own services, and no others, whatever they run.
        (play("a", x=PHOTOS), there(x=("a", PHOTOS), y=("a", PEAKOPS), z=("b", PHOTOS), u=(ONE, PHOTOS)), {"x", "y"}),
        (play("a"), there(x=("a", PHOTOS), z=("b", PHOTOS)), {"x"}),
        # Without a project: what was deployed together with one in the list, also by a version before projects.
        (play(x=PHOTOS), there(x=(ONE, PHOTOS), y=(ONE, PEAKOPS), z=(OTHER, PEAKOPS)), {"x", "y"}),
        (play(x=PHOTOS), there(x=("", PHOTOS), y=("", PEAKOPS), z=(ONE, PEAKOPS)), {"x", "y"}),
        # … or what is in a directory of the list: the only worker was renamed.
        (play(new=PHOTOS), there(old=(ONE, PHOTOS), z=(OTHER, PEAKOPS)), {"old"}),
        (play(x=Application("photos", "/srv/2")), there(x=(ONE, PHOTOS), y=(ONE, PHOTOS)), {"x", "y"}),
        # Another inventory's are left alone.
        (play(new=PEAKOPS), there(old=(ONE, PHOTOS), named=("a", PEAKOPS)), set()),
        (play(), there(old=(ONE, PHOTOS), older=("", PHOTOS)), set()),
        # A list that is split: each project takes only what it names.
        (play("a", x=PHOTOS), there(x=("", PHOTOS), y=("", PEAKOPS)), {"x"}),
        # Taken over on purpose: just these.
        (play("a", ["z"]), there(x=("b", PHOTOS), z=("b", PHOTOS)), {"z"}),
        (play("", ["z"], z=PEAKOPS), there(x=(ONE, PHOTOS), z=(ONE, PHOTOS)), {"z"}),
    ],
)
def test_a_play_owns_the_services_of_its_project(wanted, services, owned):
    assert projects.owned(wanted, services) == owned


@pytest.mark.parametrize(
    ("wanted", "services"),
    [
        (play(x=PHOTOS), there(x=("a", PHOTOS))),
        (play("b", x=PHOTOS), there(x=("a", PHOTOS))),
        (play(x=PEAKOPS), there(x=(ONE, PHOTOS))),
        (play("b", x=PEAKOPS), there(x=("", PHOTOS))),
    ],
)
def test_a_name_of_another_project_or_application_is_refused_unless_it_is_taken_over(wanted, services):
    (error,) = projects.clashes(wanted, services)
    assert error.startswith("x: name 'x' is that of a service of ")
    assert "photos in /srv/photos" in error
    assert """-e '{"evenkeel_take_over": ["x"]}'""" in error
    assert projects.owned(wanted, services) == set()
    taken = Play(wanted.kind, wanted.project, wanted.applications, ["x"])
    assert not list(projects.clashes(taken, services))
    assert projects.owned(taken, services) == {"x"}


def test_a_name_of_another_kind_is_refused_even_within_a_project():
    services = {"x": Service("beat", "a", PHOTOS)}
    (error,) = projects.clashes(play("a", ["x"], x=PHOTOS), services)
    assert error == "x: name 'x' is that of a beat of project 'a' on this host. Choose another name."
    assert projects.owned(play("a", ["x"], x=PHOTOS), services) == set()


def test_services_of_other_kinds_tell_whose_a_list_is_but_have_names_of_their_own():
    services = {**there(w=(ONE, PHOTOS)), "b": Service("beat", ONE, PHOTOS), "c": Service("beat", OTHER, PEAKOPS)}
    assert projects.owned(Play("beat", "", {}, together_with=["w"]), services) == {"b"}
    (error,) = projects.clashes(Play("beat", "", {"w": PHOTOS}, together_with=["w"]), {})
    assert error == "w: name 'w' is that of a service of another kind in this play, too. Choose another name."


def test_an_application_that_moved_or_was_renamed_is_the_same():
    for moved in (Application("photos", "/srv/2"), Application("pictures", "/srv/photos"), Application()):
        assert not list(projects.clashes(play(x=moved), there(x=(ONE, PHOTOS))))
    assert not list(projects.clashes(play(x=PEAKOPS), there(x=(ONE, Application()))))
    assert not list(projects.clashes(play("a", x=PEAKOPS), there(x=("a", PHOTOS))))


def test_services_of_one_list_get_one_project():
    assert projects.project(play("a", x=PHOTOS), there(x=(ONE, PHOTOS))) == "a"
    assert projects.project(play(x=PHOTOS), there(x=(ONE, PHOTOS))) == ONE
    assert projects.project(play(x=PHOTOS, y=PEAKOPS), there(x=(OTHER, PHOTOS), y=(ONE, PEAKOPS))) == ONE
    one, other = (projects.project(play(x=PHOTOS), there(y=("", PEAKOPS))) for _again in range(2))
    assert one != other
    assert not projects.is_named(one)


def test_services_that_may_be_the_plays_are_named_with_what_to_do():
    services = there(x=("", PHOTOS), y=("b", PEAKOPS))
    (sentence,) = projects.left_alone(play(z=PEAKOPS), services)
    assert sentence.startswith("x (photos in /srv/photos) is left as it is: a play without a project deployed it")
    assert not list(projects.left_alone(play("a", z=PEAKOPS), services))
    (sentence,) = projects.left_alone(play("a", z=PHOTOS), services)
    assert """-e '{"evenkeel_take_over": ["x"]}'""" in sentence
    assert not list(projects.left_alone(play(x=PHOTOS), services))
    original = there(x=("", Application()))
    assert not list(projects.left_alone(play(), original))


def test_other_services_memory_limits_count_but_not_those_of_services_that_go():
    services = {
        "mine": Service("worker", "a", PHOTOS, 1),
        "goes": Service("worker", "a", PHOTOS, 2),
        "beat": Service("beat", "a", PHOTOS, 4),
        "other": Service("worker", ONE, PEAKOPS, 8),
        "unlimited": Service("worker", "b", PEAKOPS),
    }
    assert projects.memory_of_others(play("a", mine=PHOTOS), services) == {
        "beat (a beat of project 'a')": 4,
        "other (a worker of a play without a project)": 8,
    }
    # Its own beat may be deployed only after its workers, whose profiles choose the same before and after.
    with_beat = Play("worker", "a", {"mine": PHOTOS}, together_with=["beat"])
    assert projects.memory_of_others(with_beat, services) == {"other (a worker of a play without a project)": 8}
