"""Guards the hooks of an adapter: a failure of one names the adapter, the function and the reason.

Neither the problem nor the log has values in it, since a hook sees secrets and callers' parameters: the problem has the
type of the error, and the log its line in the adapter's code too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from traceback import extract_tb
from typing import ParamSpec, TypeVar

from gateway.domain.adapter import Adapter, Signed, Signing, Verify
from gateway.domain.errors import AdapterFailed
from gateway.domain.model import HttpRequest

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


@dataclass(frozen=True)
class Guard:
    """Guards the hooks of one vendor's adapter."""

    vendor: str

    def adapter(self, adapter: Adapter) -> Adapter:
        """The adapter with all of its hooks guarded. A guarded hook raises AdapterFailed for what it may not raise."""
        simulate = adapter.simulate
        return replace(
            adapter,
            signing={scheme: self._signing(scheme, each) for scheme, each in adapter.signing.items()},
            finders={name: self.hook(f"finder {name}", find, is_texts) for name, find in adapter.finders.items()},
            evidence={
                name: self.hook(f"evidence {name}", each, is_truth_or_none) for name, each in adapter.evidence.items()
            },
            simulate=simulate and self.hook("simulate", simulate, is_object, LookupError),
        )

    def hook(
        self,
        name: str,
        function: Callable[Arguments, Returned],
        fits: Callable[[object], bool],
        *allowed: type[Exception],
    ) -> Callable[Arguments, Returned]:
        """The function, which raises AdapterFailed if it raises anything but `allowed`, or its result does not fit."""

        @wraps(function)
        def guarded(*arguments: Arguments.args, **options: Arguments.kwargs) -> Returned:
            try:
                result = function(*arguments, **options)
            except allowed:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the adapter's author did not foresee
                raise self.failed(name, f"raised {type(error).__name__}", error) from None
            if not fits(result):
                raise self.failed(name, f"returned {type(result).__name__}")
            return result

        return guarded

    def failed(self, name: str, reason: str, error: Exception | None = None) -> AdapterFailed:
        """The problem with a hook. The log says where in the adapter's code it arose."""
        log.error("the adapter of %s failed: its %s %s%s", self.vendor, name, reason, place_of(error))
        return AdapterFailed(f"The adapter of {self.vendor} failed: its {name} {reason}.")

    def _signing(self, scheme: str, signing: Signing) -> Signing:
        return replace(
            signing,
            sign=self.hook(f"sign of {scheme}", signing.sign, is_headers, ValueError),
            verify=self._verify(f"verify of {scheme}", signing.verify),
        )

    def _verify(self, name: str, verify: Verify) -> Verify:
        guarded = self.hook(name, verify, callable, PermissionError)

        @wraps(verify)
        def checked(request: HttpRequest, *arguments: object) -> Signed:
            signed = guarded(request, *arguments)  # type: ignore[arg-type]  # the arguments of Verify
            return self.hook(name, signed, is_text_or_none)

        return checked


def place_of(error: Exception | None) -> str:
    """The line of code that raised an error, for the log."""
    if error is None:
        return ""
    last = extract_tb(error.__traceback__)[-1]
    return f" at {last.filename}:{last.lineno}"


def is_texts(result: object) -> bool:
    """True for a tuple or list of texts."""
    return isinstance(result, tuple | list) and all(isinstance(each, str) for each in result)


def is_truth_or_none(result: object) -> bool:
    """True for a boolean, and for None."""
    return result is None or isinstance(result, bool)


def is_text_or_none(result: object) -> bool:
    """True for a text, and for None."""
    return result is None or isinstance(result, str)


def is_object(result: object) -> bool:
    """True for a JSON object."""
    return isinstance(result, Mapping)


def is_headers(result: object) -> bool:
    """True for a mapping of names to texts."""
    return isinstance(result, Mapping) and is_texts([*result, *result.values()])
