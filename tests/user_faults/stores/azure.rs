//! Azure blobs: Azurite.

use floe::{ErrorKind, Properties};
use floe_testkit::services::AzureService;

use super::{of, refused, secret_place, tls};
use crate::Fault;
use crate::refusals;
use crate::servers::{NO_HOST, closed};
use crate::trial::{Act, Cell};

/// "hunter2" in base64, as a key must be.
const WRONG_KEY: &str = "aHVudGVyMg==";

/// The account at `address` (scheme, host and port), with a secret.
fn properties(service: &AzureService, address: &str, secret: &str) -> Properties {
    let account = &service.account;
    let string = format!("AccountName={account};{secret};BlobEndpoint={address}/{account}");
    service.properties().with("adls.connection-string", string)
}

pub(crate) async fn cell(fault: Fault) -> Option<Cell> {
    let service = AzureService::azurite()?;
    let (account, container) = (service.account.clone(), service.container.clone());
    let server = service.endpoint.strip_suffix(&format!("/{account}")).unwrap().to_owned();
    let key = format!("AccountKey={}", service.key);
    let check = |properties: Properties, kind| of(properties, Act::Check, kind);
    let own = |address: &str| properties(&service, address, &key);
    let at = |address: &str, kind| check(own(address), kind).names(&[address, "endpoint"]);
    let unauthenticated = ErrorKind::Unauthenticated;
    let trials = match fault {
        Fault::UnknownHost => vec![at(&format!("http://{NO_HOST}"), ErrorKind::Unavailable).names(&["host"])],
        Fault::NobodyListens => {
            vec![at(&format!("http://{}", closed()), ErrorKind::Unavailable).names(&["refused"])]
        }
        Fault::WrongKeyId => {
            let string = format!("AccountName=nobody;{key};BlobEndpoint={server}/nobody");
            let wrong = Properties::default()
                .with("warehouse", format!("abfss://{container}@nobody.dfs.core.windows.net/lake"))
                .with("adls.connection-string", string);
            vec![check(wrong, ErrorKind::Validation).names(&["@nobody", "check the account"])]
        }
        Fault::WrongSecret => {
            let wrong = properties(&service, &server, &format!("AccountKey={WRONG_KEY}"));
            vec![check(wrong, unauthenticated).names(&["key or signature"]).hides(WRONG_KEY)]
        }
        Fault::ExpiredToken => {
            let ended = "sv=2021-08-06&se=2020-01-01T00%3A00%3A00Z&sr=c&sp=rwdl&sig=hunter2";
            let signature = properties(&service, &server, &format!("SharedAccessSignature={ended}"));
            let proxy = refused(&server, "", refusals::AZURE_TOKEN_EXPIRED).await;
            let token = properties(&service, &proxy.uri(), "").with("adls.token", "hunter2");
            vec![
                check(signature, unauthenticated).names(&["signature has expired", "adls.sas-token"]),
                check(token, unauthenticated).names(&["expired"]).keep(proxy),
            ]
        }
        Fault::MissingPlace => {
            let place = format!("abfss://no-such-container@{account}.dfs.core.windows.net/lake");
            vec![
                check(own(&server).with("warehouse", place), ErrorKind::Validation)
                    .names(&["no-such-container", "create the bucket"]),
            ]
        }
        Fault::DeniedPart => {
            let proxy = refused(&server, "/secret/", refusals::AZURE_DENIED).await;
            let own = own(&proxy.uri());
            let place = secret_place(&own);
            let trial = of(own, Act::CreateAt(place), ErrorKind::PermissionDenied);
            vec![trial.names(&["/secret/", "grant"]).keep(proxy)]
        }
        Fault::ClockSkew => {
            let proxy = refused(&server, "", refusals::AZURE_CLOCK).await;
            vec![check(own(&proxy.uri()), unauthenticated).names(&["clock"]).keep(proxy)]
        }
        Fault::UnknownAuthority | Fault::PlainToTls | Fault::TlsToPlain => {
            vec![tls(fault, &server, at).await]
        }
    };
    Some(Cell::Tried(trials.into_iter().map(|trial| trial.hides(&service.key)).collect()))
}
