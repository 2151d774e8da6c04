//! Which requests go wrong, and how.

use std::time::Duration;

use super::server::Request;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpFault {
    /// Answered with this status; the server behind never sees it.
    Status(u16),
    /// Answered with this status and `Retry-After: seconds`; the server behind never sees it.
    RetryAfter(u16, u64),
    /// The connection is closed; the server behind never sees it.
    LostRequest,
    /// The server behind does it; the connection is closed before its reply.
    LostReply,
    /// The server behind does it; the reply is replaced by this status.
    StatusAfter(u16),
    /// The server behind does it, after this time.
    Delay(Duration),
    /// Answered so; the server behind never sees it.
    Answer(Canned),
}

/// An answer that is the same each time: as some service refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canned {
    /// The status code.
    pub status: u16,
    /// Names and values of headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub body: &'static str,
}

/// Which requests a fault meets: those that fit everything that is said, from the `skip`-th on, `times` times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    method: Option<String>,
    path: String,
    header: Option<(String, String)>,
    skip: usize,
    times: usize,
    pub(super) fault: HttpFault,
}

impl Rule {
    /// The next request meets `fault`.
    pub fn next(fault: HttpFault) -> Self {
        Self { method: None, path: String::new(), header: None, skip: 0, times: 1, fault }
    }

    /// Only requests of this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests whose path (encoded, without the query) contains `path`.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Only requests that have a header (its name in lower case) whose value contains `value`, such as
    /// `x-amz-target` with `UpdateTable`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.header = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// The first `count` requests that fit go through.
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Every request that fits meets the fault.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// So many requests meet the fault, not only one.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    fn fits(&self, request: &Request) -> bool {
        self.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path().contains(&self.path)
            && self
                .header
                .as_ref()
                .is_none_or(|(name, part)| request.header(name).is_some_and(|value| value.contains(part)))
    }
}

/// The fault that `request` meets, if any; counts it in the rule that gave it.
pub(super) fn take(rules: &mut Vec<Rule>, request: &Request) -> Option<HttpFault> {
    for rule in rules.iter_mut().filter(|rule| rule.fits(request)) {
        if rule.skip > 0 {
            rule.skip -= 1;
            continue;
        }
        rule.times -= 1;
        let fault = rule.fault;
        rules.retain(|rule| rule.times > 0);
        return Some(fault);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_meets_what_it_says_and_as_often_as_it_says() {
        let rule = Rule::next(HttpFault::LostReply).method("POST").path("/tables/").after(1).times(2);
        let mut rules = vec![rule];
        let request = |method: &str| Request {
            method: method.into(),
            target: "/v1/tables/t?x=1".into(),
            ..Request::default()
        };
        let met: Vec<bool> = ["POST", "GET", "POST", "POST", "POST"]
            .iter()
            .map(|method| take(&mut rules, &request(method)).is_some())
            .collect();
        assert_eq!(met, [false, false, true, true, false]);
        assert!(rules.is_empty());
    }
}
