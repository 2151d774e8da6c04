//! S3: versitygw and MinIO.

use floe::{ErrorKind, Properties};
use floe_testkit::http::{Canned, FaultProxy};
use floe_testkit::services::S3Service;
use floe_tests::sts::assume_role;

use super::{of, secret_place, tls};
use crate::Fault;
use crate::refusals::{self, below};
use crate::servers::{NO_HOST, closed};
use crate::trial::{Act, Cell, Trial};

pub(crate) async fn versitygw(fault: Fault) -> Option<Cell> {
    let service = S3Service::versitygw()?;
    let trial = match fault {
        Fault::DeniedPart => {
            let act = Act::CreateAt(secret_place(&service.properties()));
            refused(&service, act, ErrorKind::PermissionDenied, "/secret/", refusals::S3_DENIED)
                .await
                .names(&["/secret/", "grant"])
        }
        fault => both(&service, fault).await,
    };
    Some(Cell::Tried(vec![trial]))
}

pub(crate) async fn minio(fault: Fault) -> Option<Cell> {
    let service = S3Service::minio()?;
    let trial = match fault {
        Fault::DeniedPart => {
            let session = assume_role(
                &service,
                r#"{"Version":"2012-10-17","Statement":[
                    {"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]},
                    {"Effect":"Deny","Action":["s3:*"],"Resource":["arn:aws:s3:::*/secret/*"]}]}"#,
            )
            .await;
            let properties = session.lay_over(service.properties());
            let act = Act::CreateAt(secret_place(&properties));
            of(properties, act, ErrorKind::PermissionDenied)
                .names(&["/secret/", "grant"])
                .hides(&session.secret_access_key)
                .hides(&session.session_token)
        }
        fault => both(&service, fault).await,
    };
    Some(Cell::Tried(vec![trial]))
}

/// Whose requests below a part of a path are refused so.
async fn refused(service: &S3Service, act: Act, kind: ErrorKind, path: &str, refusal: Canned) -> Trial {
    let proxy = FaultProxy::start(&service.endpoint).await;
    proxy.inject(below(path, refusal));
    let act = match act {
        Act::CreateAt(_) => {
            let properties = service.properties().with("s3.endpoint", proxy.uri());
            let place = secret_place(&properties);
            return of(properties, Act::CreateAt(place), kind).keep(proxy);
        }
        act => act,
    };
    of(service.properties().with("s3.endpoint", proxy.uri()), act, kind)
        .hides(&service.secret_access_key)
        .keep(proxy)
}

/// What is the same with both.
async fn both(service: &S3Service, fault: Fault) -> Trial {
    let at = |endpoint: &str, kind| {
        let properties: Properties = service.properties().with("s3.endpoint", endpoint);
        of(properties, Act::Check, kind).names(&[endpoint, "endpoint"]).hides(&service.secret_access_key)
    };
    let with = |key: &str, value: &str, kind| {
        of(service.properties().with(key, value), Act::Check, kind).hides(&service.secret_access_key)
    };
    match fault {
        Fault::UnknownHost => at(&format!("http://{NO_HOST}:9000"), ErrorKind::Unavailable).names(&["host"]),
        Fault::NobodyListens => {
            at(&format!("http://{}", closed()), ErrorKind::Unavailable).names(&["refused"])
        }
        Fault::WrongKeyId => {
            with("s3.access-key-id", "nobody", ErrorKind::Unauthenticated).names(&["access key", "endpoint"])
        }
        Fault::WrongSecret => {
            with("s3.secret-access-key", "hunter2", ErrorKind::Unauthenticated).names(&["the secret"])
        }
        Fault::ExpiredToken => {
            let act = Act::Check;
            refused(service, act, ErrorKind::Unauthenticated, "", refusals::S3_EXPIRED)
                .await
                .names(&["expired"])
        }
        Fault::MissingPlace => with("warehouse", "s3://no-such-bucket-here/lake", ErrorKind::Validation)
            .names(&["no-such-bucket-here", "create the bucket"]),
        Fault::DeniedPart => unreachable!("each has its own way"),
        Fault::ClockSkew => refused(service, Act::Check, ErrorKind::Unauthenticated, "", refusals::S3_CLOCK)
            .await
            .names(&["clock"]),
        Fault::UnknownAuthority | Fault::PlainToTls | Fault::TlsToPlain => {
            tls(fault, &service.endpoint, at).await
        }
    }
}
