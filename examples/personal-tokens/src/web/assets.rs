//! The style, the script and the icon, compiled into the executable.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../static/style.css"))
}

pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../static/page.js"))
}

pub async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("../../static/icon.svg"))
}
