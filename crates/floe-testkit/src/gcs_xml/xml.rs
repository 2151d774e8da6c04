//! The XML texts of the interface.

use super::backend::Object;

/// An error with this code.
pub(super) fn error(code: &str) -> String {
    format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>")
}

/// The answer that names a new upload.
pub(super) fn initiated(upload: &str) -> String {
    let id = format!("<UploadId>{upload}</UploadId>");
    format!("<InitiateMultipartUploadResult>{id}</InitiateMultipartUploadResult>")
}

/// The answer to the completion of an upload.
pub(super) fn completed(object: &Object) -> String {
    format!(
        "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
        escape(&object.etag)
    )
}

/// One page of a listing.
pub(super) fn listing(objects: &[Object], next: Option<&str>) -> String {
    let one = |object: &Object| {
        let (name, etag) = (escape(&object.name), escape(&object.etag));
        let (updated, size) = (object.updated.to_rfc3339(), &object.size);
        format!(
            "<Contents><Key>{name}</Key><LastModified>{updated}</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
        )
    };
    let contents = objects.iter().map(one).collect::<Vec<_>>().concat();
    let next = next.map(|next| format!("<NextContinuationToken>{}</NextContinuationToken>", escape(next)));
    format!("<ListBucketResult>{contents}{}</ListBucketResult>", next.unwrap_or_default())
}

/// The values of every element of this name, in order.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close).map(|(inside, _)| inside)).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order() {
        assert_eq!(elements("<P><N>1</N></P><P><N>2</N></P>", "N"), ["1", "2"]);
    }
}
