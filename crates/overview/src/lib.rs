#![doc = include_str!("../README.md")]

mod age;
mod filter;
mod json;
mod overview;
mod page;
mod row;
mod table;
mod text;
mod urgency;
mod view;

#[cfg(test)]
mod tests;

pub use crate::{
    filter::{Filter, InvalidFilter},
    json::Json,
    overview::{Overview, PAGE_ROWS, Shown, VERSION},
    page::Page,
    row::{Container, Image, Row},
    table::{Detail, Table},
    urgency::{needs_person, urgency},
    view::View,
};
