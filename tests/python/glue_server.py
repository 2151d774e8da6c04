"""moto's server, with the two properties of AWS Glue's UpdateTable that moto lacks: a stale VersionId is refused
with ConcurrentModificationException, and SkipArchive keeps no former version. Takes the arguments of moto_server."""

import threading

from moto.core.exceptions import JsonRESTError
from moto.glue.responses import GlueResponse
from moto.server import main

update_as_moto_does = GlueResponse.update_table
# The server has a thread for each request: without this, two could compare with the same version.
one_at_a_time = threading.Lock()


def update_table(self):
    with one_at_a_time:
        return compare_and_update(self)


def compare_and_update(self):
    request = self.parameters
    table = self.glue_backend.get_table(request["DatabaseName"], request["TableInput"]["Name"])
    before = str(table._current_version)
    expected = request.get("VersionId")
    if expected is not None and str(expected) != before:
        raise JsonRESTError("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
    answer = update_as_moto_does(self)
    if request.get("SkipArchive"):
        table.versions.pop(before, None)
    return answer


GlueResponse.update_table = update_table

if __name__ == "__main__":
    main()
