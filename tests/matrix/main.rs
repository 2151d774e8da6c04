//! The manager's contract on every catalog with every storage, as far as a pair makes sense.
//!
//! `cargo xtask integration` runs these and prints a table; a pair that is not here is named there, with the reason.

floe_tests::contract! {
    memory_local: Memory, Local;
    sqlite_local: Sqlite, Local;
    sqlite_s3: Sqlite, S3;
    sqlite_minio: Sqlite, Minio;
    sqlite_gcs: Sqlite, Gcs;
    sqlite_azure: Sqlite, Azure;
    postgres_local: Postgres, Local;
    postgres_s3: Postgres, S3;
    rest_local: Rest, Local;
    rest_s3: Rest, S3;
    rest_minio: Rest, Minio;
    #[ignore = "needs a Polaris: `cargo xtask integration` where Docker runs, or FLOE_POLARIS_URL"]
    polaris_local: Polaris, Local;
    glue_local: Glue, Local;
    glue_s3: Glue, S3;
    glue_minio: Glue, Minio;
}
