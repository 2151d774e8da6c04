"""Spark with Iceberg, as the interoperability tests use it: one session for all of them.

Reads one JSON command a line on standard input and answers one JSON line each on standard output; ends, and Spark with
it, when standard input does. Data travels as Arrow IPC files, which the commands name.

Commands (key "do"); `catalog` is the SQLite file that holds the catalog, and its folder is the warehouse:
  ready {}                                    -> {version}
  sql   {catalog, statements, data?}          -> [[row, …], …]   the rows of each statement, values as text or null
  read  {catalog, query, out}                 -> {rows}

`data` maps names of temporary views to Arrow IPC files. In statements and queries tables are called `t.NAME`.
"""

import json
import os
import sys
import tempfile

JARS = sys.argv[1]
CATALOG = "default"  # the name under which floe's embedded warehouse keeps its tables

LOGGING = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = Spark: %p %c{1}: %m%n%ex{3}
"""


def start(folder: str):
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["TZ"] = "UTC"
    logging = os.path.join(folder, "log4j2.properties")
    with open(logging, "w") as file:
        file.write(LOGGING)
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC -Djava.io.tmpdir={folder} -Dlog4j2.configurationFile=file:{logging} -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.jars": ",".join(os.path.join(JARS, name) for name in sorted(os.listdir(JARS)) if name.endswith(".jar")),
        "spark.local.dir": folder,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.default.parallelism": "2",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": os.path.join(folder, "spark-warehouse"),
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    }
    builder = SparkSession.builder.appName("floe")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


class Worker:
    def __init__(self, root):
        self.root = root
        self.sessions = {}

    def session(self, catalog: str):
        """A session whose default catalog is the one in a SQLite file. The catalog's name is part of its tables'
        keys, so that two warehouses need two sessions."""
        if catalog not in self.sessions:
            session = self.root.newSession()
            prefix = f"spark.sql.catalog.{CATALOG}"
            session.conf.set(prefix, "org.apache.iceberg.spark.SparkCatalog")
            session.conf.set(f"{prefix}.type", "jdbc")
            session.conf.set(f"{prefix}.uri", f"jdbc:sqlite:file:{catalog}")
            session.conf.set(f"{prefix}.warehouse", f"file://{os.path.dirname(catalog)}")
            session.conf.set(f"{prefix}.jdbc.schema-version", "V1")
            session.conf.set(f"{prefix}.cache-enabled", "false")
            session.conf.set("spark.sql.defaultCatalog", CATALOG)
            self.sessions[catalog] = session
        return self.sessions[catalog]

    def ready(self, command: dict):
        return {"version": self.root.version}

    def sql(self, command: dict):
        session = self.session(command["catalog"])
        for name, path in (command.get("data") or {}).items():
            session.createDataFrame(read_ipc(path)).createOrReplaceTempView(name)
        answers = []
        for statement in command["statements"]:
            try:
                rows = session.sql(statement).collect()
            except Exception as error:
                raise RuntimeError(f"{statement}: {error}") from error
            answers.append([[None if v is None else str(v) for v in row] for row in rows])
        return answers

    def read(self, command: dict):
        table = self.session(command["catalog"]).sql(command["query"]).toArrow()
        write_ipc(table, command["out"])
        return {"rows": table.num_rows}


def read_ipc(path: str):
    import pyarrow as pa

    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()


def write_ipc(table, path: str) -> None:
    import pyarrow as pa

    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def main() -> None:
    # Libraries print to standard output now and then; the answers must stand alone there. The JVM inherits
    # descriptor 1, so the answers go through a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="floe-spark-") as folder:
        os.chdir(folder)
        root = start(folder)
        worker = Worker(root)
        commands = {name: getattr(worker, name) for name in ("ready", "sql", "read")}
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer = {"ok": commands[command["do"]](command)}
            except Exception as error:  # noqa: BLE001: the Rust side decides whether a failure is expected
                answer = {"error": f"{type(error).__name__}: {error}"[:4000]}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        root.stop()
        os.chdir("/")


if __name__ == "__main__":
    main()
