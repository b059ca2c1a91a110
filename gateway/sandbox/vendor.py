"""One simulated vendor: its API, and the operations of the control API on it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from gateway.domain.adapter import Adapter
from gateway.domain.errors import FieldError
from gateway.domain.vocabulary import Meaning
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.delays import Delay
from gateway.sandbox.errors import Errors
from gateway.sandbox.examples import VendorJob
from gateway.sandbox.fault_injector import FaultInjector
from gateway.sandbox.faults import Fault, FaultKind, FaultScript
from gateway.sandbox.request_log import Log, LogEntry
from gateway.sandbox.routes import TOKEN
from gateway.sandbox.security import OAuthScheme, SigningScheme, security_map
from gateway.sandbox.settings import Credentials, SandboxSettings, VendorSettings
from gateway.sandbox.simulator import Now, Simulator
from gateway.sandbox.surface import Surface
from gateway.sandbox.tokens import Token, TokenEndpoint, Tokens
from gateway.specs.security import checked_schemes, token_flows
from gateway.specs.vendor import VendorSpecification


class VendorSandbox:
    """A simulated vendor, built from its document.

    `application` is its API as an ASGI application. The methods are the operations of the control API.
    """

    def __init__(
        self,
        adapter: Adapter,
        specification: VendorSpecification,
        settings: SandboxSettings,
        now: Now,
        delay: Delay,
    ) -> None:
        """Start with the document's jobs.

        Raises SpecificationError if the document or the adapter lacks something that the sandbox needs, ValueError if a
        setting does not fit the document.
        """
        specification = specification.bound(specification.example_values)
        self.specification = specification
        self.credentials = settings.credentials.get(specification.name) or Credentials()
        initial = settings.vendors.get(specification.name) or VendorSettings()
        self._initial = self._settings = self._checked(initial)
        self._faults = FaultScript()
        self._log = Log(specification.name)
        self._tokens = Tokens(now)
        self._simulator = Simulator(specification, adapter.simulate, now, self._clock_seconds)
        self._behaviour = Behaviour(specification, self._simulator)
        errors = Errors(specification, lambda: self._settings)
        surface = self._surface(adapter, errors, now)
        self.application = FaultInjector(surface, errors, self._faults, self._log, specification.reply, now, delay)
        self.reset()

    @property
    def endpoint(self) -> str:
        """The path of the API on the sandbox's server, for a connection's endpoint."""
        return f"/{self.specification.name}{self.application.surface.routes.base_path}"

    @property
    def token_endpoint(self) -> str | None:
        """The path of the first token endpoint on the sandbox's server, None if there is none."""
        urls = iter(token_flows(self.specification.api.document))
        found = next((urlsplit(url).path for url in urls), None)
        return None if found is None else f"/{self.specification.name}{found}"

    @property
    def scopes(self) -> frozenset[str]:
        """All OAuth 2.0 scopes in the document."""
        flows = token_flows(self.specification.api.document).values()
        return frozenset(scope for scopes in flows for scope in scopes)

    @property
    def settings(self) -> VendorSettings:
        """The present settings."""
        return self._settings

    def configure(self, **changes: Any) -> None:
        """Change settings, by their names in VendorSettings; the others stay.

        Raises ValueError if a setting does not fit the document.
        """
        settings = self._checked(replace(self._settings, **changes))
        restart = settings.clock_seconds != self._settings.clock_seconds
        self._settings = settings
        if restart:
            self._simulator.restart_clock()

    def jobs(self) -> tuple[VendorJob, ...]:
        """All jobs, oldest first."""
        return self._simulator.jobs()

    def job(self, job_id: str) -> VendorJob:
        """One job. Raises Refusal (unknown-job)."""
        return self._simulator.job(job_id)

    def create_job(self, status: str, job_id: str | None = None) -> str:
        """Add a job in this status and return its id. Without an id, it gets a new one in the form of the examples'.

        Raises ValueError if the status is unknown, the id is taken, or the job would not match the vendor's document.
        """
        self._check_status(status)
        job = self._simulator.examples.make(status, job_id)
        misfits = self._misfits(job)
        if misfits:
            listed = "; ".join(f"{each.pointer} {each.detail}" for each in misfits)
            raise ValueError(f"The job would not match the vendor's document: {listed}.")
        self._simulator.add(job)
        return self._simulator.examples.id_of(job)

    def set_status(self, job_id: str, status: str) -> VendorJob:
        """Put a job into any status. Raises Refusal (unknown-job), or ValueError if the status is unknown."""
        self._check_status(status)
        return self._simulator.move(job_id, status)

    def advance(self, job_id: str, to: str | None = None) -> VendorJob:
        """Make a system transition of a job to the status `to`, or the first documented one without `to`.

        Raises Refusal (unknown-job), or ValueError if the document has no such transition.
        """
        status = self._simulator.examples.status_of(self._simulator.job(job_id))
        following = self._simulator.next_statuses(status)
        if not following or to not in {None, *following}:
            choices = ", ".join(following) or "nowhere"
            raise ValueError(f"System transitions from {status} lead to: {choices}.")
        return self._simulator.move(job_id, to or following[0])

    def script(self, fault: Fault) -> None:
        """Add a fault to the script; `expire_tokens` takes effect immediately.

        Raises ValueError if the vendor has no such operation.
        """
        _choose("operation", fault.operation_id, [*self.specification.api.operations, TOKEN])
        if fault.kind is FaultKind.EXPIRE_TOKENS:
            self._tokens.expire()
        else:
            self._faults.add(fault)

    def scripted(self) -> tuple[Fault, ...]:
        """The pending faults."""
        return self._faults.pending()

    def clear_faults(self) -> None:
        """Remove the pending faults."""
        self._faults.clear()

    def issue_token(self, scopes: frozenset[str] | None = None, seconds: int | None = None) -> Token:
        """Issue a token; by default for all scopes of the document and the configured time."""
        granted = self.scopes if scopes is None else scopes
        return self._tokens.issue(granted, seconds or self._settings.token_seconds)

    def log(self, after: int = 0) -> tuple[LogEntry, ...]:
        """The logged requests with a sequence number above `after`."""
        return self._log.after(after)

    def reset(self) -> None:
        """Restore the initial jobs and settings, and clear faults and log. Tokens stay valid."""
        self._settings = self._initial
        self._faults.clear()
        self._log.clear()
        seeds = self._simulator.examples.seeds()
        self._simulator.restart(job for job in seeds if not self._misfits(job))

    def _surface(self, adapter: Adapter, errors: Errors, now: Now) -> Surface:
        api = self.specification.api
        endpoint = partial(TokenEndpoint, self._tokens, self.credentials, seconds=self._lifetime)
        endpoints = {urlsplit(url).path: endpoint(scopes=scopes) for url, scopes in token_flows(api.document).items()}
        known = checked_schemes(adapter, api.document, self.specification.example_values)
        signing = SigningScheme(known, self.credentials, now)
        schemes = security_map(api.document, OAuthScheme(self._tokens), signing)
        return Surface(api, self._behaviour, errors, schemes, endpoints)

    def _clock_seconds(self) -> float | None:
        return self._settings.clock_seconds

    def _lifetime(self) -> int:
        return self._settings.token_seconds

    def _check_status(self, status: str) -> None:
        if status not in self.specification.clear_statuses:
            known = ", ".join(self.specification.clear_statuses)
            raise ValueError(f"There is no such status. Known statuses: {known}.")

    def _misfits(self, job: VendorJob) -> tuple[FieldError, ...]:
        """The places where a job does not match the vendor's document."""
        found = self._behaviour.job_body(job)
        response = found[0].response(200) if found else None
        if found is None or response is None:
            return ()
        return next(iter(response.bodies.values())).errors(found[1])

    def _checked(self, settings: VendorSettings) -> VendorSettings:
        errors = self.specification.errors
        statuses = [str(answer.status) for answer in errors.meanings.get(Meaning.WRONG_STATE, ())]
        _choose("wrong-state status", settings.wrong_state_status, statuses)
        _choose("envelope", settings.envelope, list(errors.envelopes))
        return settings


def _choose(what: str, chosen: object, choices: list[str]) -> None:
    if chosen is not None and str(chosen) not in choices:
        known = ", ".join(choices)
        raise ValueError(f"The vendor's document has no such {what}. It has: {known}.")
