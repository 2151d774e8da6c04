"""moto's server, with what AWS Glue has and moto lacks: UpdateTable refuses a stale VersionId with
ConcurrentModificationException and keeps no former version under SkipArchive; GetTables and GetDatabases answer in
pages of at most 100. Takes the arguments of moto_server."""

import threading

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
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


def in_pages(answer_as_moto_does, key):
    def answer(self):
        everything = answer_as_moto_does(self).result[key]
        first = int(self.parameters.get("NextToken") or 0)
        after = first + min(self.parameters.get("MaxResults") or 100, 100)
        page = {key: everything[first:after]}
        if after < len(everything):
            page["NextToken"] = str(after)
        return ActionResult(page)

    return answer


GlueResponse.update_table = update_table
GlueResponse.get_tables = in_pages(GlueResponse.get_tables, "TableList")
GlueResponse.get_databases = in_pages(GlueResponse.get_databases, "DatabaseList")

if __name__ == "__main__":
    main()
