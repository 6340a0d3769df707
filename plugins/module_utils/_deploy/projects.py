# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services a play owns: those of its project. It changes and removes no others.

A play without a project's name has no reliable mark: paths and inventories differ from controller to controller. So it
is recognised by its services. Those that were deployed together belong together, and a play owns them if its list has a
name or a directory of theirs. If it has none, they may be another inventory's, and are left alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Callable

from .._common.project import NAME, taking_over
from .._common.texts import printable
from . import store


@dataclass(frozen=True)
class Application:
    """What a service runs; empty texts if that is not known."""

    app: str = ""
    directory: str = ""

    def __str__(self) -> str:
        return printable(f"{self.app} in {self.directory}")

    @property
    def known(self) -> bool:
        """Whether a unit of ours runs it."""
        return bool(self.app or self.directory)

    def differs(self, other: Application) -> bool:
        """Whether it is certainly another one. One that has only moved, or was only renamed, is the same."""
        both = (self.app, other.app), (self.directory, other.directory)
        return all(one and another and one != another for one, another in both)


@dataclass(frozen=True)
class Service:
    """A service that this host has."""

    kind: str
    project: str
    application: Application
    memory_max: int | None = None  # bytes


There = Mapping[str, Service]  # by their names


@dataclass(frozen=True)
class Play:
    """What a play wants: services of one kind, by their names.

    project: its name; empty if it has none.
    take_over: names of services that it owns from now on, whosever they were.
    together_with: names of its services of other kinds, by which it is recognised, too.
    """

    kind: str
    project: str
    applications: Mapping[str, Application]
    take_over: Collection[str] = ()
    together_with: Collection[str] = ()

    @property
    def directories(self) -> set[str]:
        return {application.directory for application in self.applications.values()} - {""}


def play(kind: str, options: Mapping[str, Any], instances: Iterable[Mapping[str, Any]]) -> Play:
    """What a play wants by a module's options."""
    applications = {
        instance["name"]: Application(instance["app"] or "", instance["directory"] or "") for instance in instances
    }
    return Play(kind, options["project"], applications, options["take_over"], options["together_with"])


def is_named(project: str) -> bool:
    """Otherwise it is one of a play without a name: ~ and a number, or empty if an earlier version deployed it."""
    return bool(NAME.fullmatch(project))


def there(deployed: Callable[[str], Any]) -> dict[str, Service]:
    """The services on this host that are ours, or were until they were rolled back to their original units.

    deployed: reads the unit of a service, as _targets/deployed.py does.
    """
    units = {name: deployed(name) for name in store.known() if store.is_there(name)}
    return {
        name: Service(
            **asdict(store.owner(name)), application=Application(unit.app, unit.directory), memory_max=unit.memory_max
        )
        for name, unit in units.items()
    }


def clashes(play: Play, services: There) -> Iterator[str]:
    """Why the play can't have services of these names."""
    for name in play.applications:
        if name in play.together_with:
            yield f"{name}: name '{name}' is that of a service of another kind in this play, too. Choose another name."
        elif name in services:
            yield from (f"{name}: name {error}" for error in _clash(play, name, services[name]))


def _clash(play: Play, name: str, service: Service) -> Iterator[str]:
    project = _whose(service)
    runs = f", which runs {service.application}" if service.application.app else ""
    if service.kind != play.kind:
        yield f"'{name}' is that of a {service.kind} of {project} on this host. Choose another name."
    elif name in play.take_over:
        return
    elif is_named(service.project) and service.project != play.project:
        yield (
            f"'{name}' is that of a service of {project} on this host{runs}. Choose another name. If this play is of"
            f" that project, set evenkeel_project to its name. To take the service over, add {taking_over(name)}."
        )
    elif not is_named(service.project) and service.application.differs(play.applications[name]):
        yield (
            f"'{name}' is that of a service of {project} on this host{runs}, another application. Choose another name."
            f" To replace the service by this one, add {taking_over(name)}."
        )


def _whose(service: Service) -> str:
    return f"project '{service.project}'" if is_named(service.project) else "a play without a project"


def owned(play: Play, services: There) -> set[str]:
    """The names of the services of its kind that the play may change and remove."""
    projects = {play.project} if play.project else _unnamed(play, services)
    return {
        name
        for name, service in services.items()
        if service.kind == play.kind and (service.project in projects or name in {*play.applications, *play.take_over})
        if name not in play.applications or not any(_clash(play, name, service))
    }


def _unnamed(play: Play, services: There) -> set[str]:
    """The projects without a name that a play without a name is."""
    return {
        service.project
        for name, service in services.items()
        if not is_named(service.project) and name not in play.take_over  # just this one, without those beside it
        if service.application.directory in play.directories
        or (name in play.together_with and service.kind != play.kind)
        or (name in play.applications and not any(_clash(play, name, service)))
    }


def memory_of_others(play: Play, services: There) -> dict[str, int]:
    """The memory limits, in bytes, of services that stay on the host beside those that the play wants.

    Its services of other kinds, which it may deploy only after these, are not among them.
    """
    mine = {*owned(play, services), *play.applications, *play.together_with}
    others = {name: service for name, service in services.items() if name not in mine}
    return {
        f"{name} (a {service.kind} of {_whose(service)})": service.memory_max
        for name, service in others.items()
        if service.memory_max
    }


def project(play: Play, services: There) -> str:
    """The project of the services that the play deploys, as it is stored."""
    return play.project or min(_unnamed(play, services), default=f"~{uuid.uuid4().hex[:12]}")


def left_alone(play: Play, services: There) -> Iterator[str]:
    """A sentence about each service that may be the play's, but need not be."""
    mine = owned(play, services)
    for name, service in sorted(services.items()):
        if service.kind != play.kind or name in mine or is_named(service.project) or not service.application.known:
            continue
        if not play.project or service.application.directory in play.directories:
            yield (
                f"{name} ({service.application}) is left as it is: a play without a project deployed it, and may not"
                " have been this one. Set evenkeel_project in each play that deploys to this host. If the service is"
                f" this play's, add {taking_over(name)}: it is then removed unless it is in the list."
            )
