//! How services refuse a request, in their own words, where no server here does.

use floe_testkit::http::{Canned, HttpFault, Rule};

/// A time when no request is made any more; the clock of a service that says so is far behind.
const LONG_AGO: (&str, &str) = ("date", "Wed, 01 Jan 2020 00:00:00 GMT");
const XML: (&str, &str) = ("content-type", "application/xml");
const JSON: (&str, &str) = ("content-type", "application/json");
const AWS_JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

/// Every request below this part of a path is refused so; all where it is empty.
pub(crate) fn below(path: &str, refusal: Canned) -> Rule {
    Rule::next(HttpFault::Answer(refusal)).path(path).always()
}

pub(crate) const S3_EXPIRED: Canned = Canned {
    status: 400,
    headers: &[XML],
    body: "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message>\
           <Token-0>hunter2</Token-0></Error>",
};
pub(crate) const S3_DENIED: Canned = Canned {
    status: 403,
    headers: &[XML],
    body: "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
};
pub(crate) const S3_CLOCK: Canned = Canned {
    status: 403,
    headers: &[XML, LONG_AGO],
    body: "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current \
           time is too large.</Message><RequestTime>20261127T120000Z</RequestTime>\
           <ServerTime>2020-01-01T00:00:00Z</ServerTime></Error>",
};

pub(crate) const GCS_DENIED: Canned = Canned {
    status: 403,
    headers: &[XML],
    body: "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message>\
           <Details>someone does not have storage.objects.create access to the object.</Details></Error>",
};
/// Google says no more of a token whose times are not right than of any other.
pub(crate) const GCS_CLOCK: Canned = Canned {
    status: 401,
    headers: &[XML, LONG_AGO],
    body: "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AuthenticationRequired</Code>\
           <Message>Authentication required.</Message></Error>",
};

pub(crate) const AZURE_DENIED: Canned = Canned {
    status: 403,
    headers: &[XML],
    body: "<Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized to perform this \
           operation using this permission.</Message></Error>",
};
pub(crate) const AZURE_TOKEN_EXPIRED: Canned = Canned {
    status: 401,
    headers: &[XML],
    body: "<Error><Code>InvalidAuthenticationInfo</Code><Message>Server failed to authenticate the request. Please \
           refer to the information in the www-authenticate header.</Message><AuthenticationErrorDetail>Lifetime \
           validation failed. The token is expired.</AuthenticationErrorDetail></Error>",
};
pub(crate) const AZURE_CLOCK: Canned = Canned {
    status: 403,
    headers: &[XML],
    body: "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the \
           value of Authorization header is formed correctly including the signature.</Message>\
           <AuthenticationErrorDetail>Request date header too old: 'Wed, 01 Jan 2020 00:00:00 GMT'\
           </AuthenticationErrorDetail></Error>",
};

pub(crate) const REST_NO_WAREHOUSE: Canned = Canned {
    status: 404,
    headers: &[JSON],
    body: r#"{"error":{"message":"Unable to find warehouse pond","type":"NotFoundException","code":404}}"#,
};
pub(crate) const REST_DENIED: Canned = Canned {
    status: 403,
    headers: &[JSON],
    body: r#"{"error":{"message":"Principal 'ann' is not authorized for LIST_TABLES on secret","type":"ForbiddenException","code":403}}"#,
};
pub(crate) const REST_CLOCK: Canned = Canned {
    status: 401,
    headers: &[JSON, LONG_AGO],
    body: r#"{"error":{"message":"Not authorized","type":"NotAuthorizedException","code":401}}"#,
};

pub(crate) const GLUE_KEY: Canned = Canned {
    status: 400,
    headers: &[AWS_JSON],
    body: r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
};
pub(crate) const GLUE_SECRET: Canned = Canned {
    status: 400,
    headers: &[AWS_JSON],
    body: r#"{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been 'x-amz-security-token:hunter2'"}"#,
};
pub(crate) const GLUE_EXPIRED: Canned = Canned {
    status: 400,
    headers: &[AWS_JSON],
    body: r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#,
};
pub(crate) const GLUE_DENIED: Canned = Canned {
    status: 400,
    headers: &[AWS_JSON],
    body: r#"{"__type":"AccessDeniedException","message":"User: arn:aws:iam::1:user/ann is not authorized to perform: glue:GetTables on resource: arn:aws:glue:us-east-1:1:database/secret"}"#,
};
pub(crate) const GLUE_CLOCK: Canned = Canned {
    status: 400,
    headers: &[AWS_JSON],
    body: r#"{"__type":"InvalidSignatureException","message":"Signature expired: 20200101T000000Z is now earlier than 20261127T115500Z (20261127T120000Z - 5 min.)"}"#,
};
