//! The page at `/`, in a browser.

use std::path::Path;

use kube_autorollout_testbed::workload::Deployment;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{browser::Browser, example, until_row};
use crate::harness::World;

const PHONE: (u32, u32) = (360, 740);
const SCREEN: (u32, u32) = (1280, 800);

/// The lowest contrast between texts and what is behind them
/// (<https://www.w3.org/TR/WCAG22/#contrast-minimum>, for text of any size).
const CONTRAST: f64 = 4.5;

/// The lowest contrast of all texts of a page.
const LOWEST_CONTRAST: &str = r#"(() => {
  const rgb = colour => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const luminance = colour => rgb(colour).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let lowest = 21;
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance);
    lowest = Math.min(lowest, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
  }
  return lowest;
})()"#;

/// A browser, and the URL of a page of its own; nothing where no browser is installed.
async fn opened() -> Option<(Browser, (String, TempDir))> {
    let browser = Browser::start().await?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("index.html");
    std::fs::write(&file, example::page()).expect("a file");
    Some((browser, (format!("file://{}", file.display()), folder)))
}

#[tokio::test]
async fn the_page_is_readable_on_a_phone_and_in_the_dark() {
    let Some((mut browser, url)) = opened().await else {
        return;
    };
    for (size, scheme, name) in [
        (SCREEN, "light", "status.png"),
        (SCREEN, "dark", "status-dark.png"),
        (PHONE, "light", "status-phone.png"),
        (PHONE, "dark", "status-phone-dark.png"),
    ] {
        browser.open(&url.0, size, scheme).await;
        let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        browser.screenshot(&picture).await;
        let width = browser.value("document.documentElement.scrollWidth").await;
        assert_eq!(
            width,
            size.0,
            "nothing is beside the window: {}",
            picture.display()
        );
        let contrast = browser
            .value(LOWEST_CONTRAST)
            .await
            .as_f64()
            .expect("a number");
        assert!(
            contrast >= CONTRAST,
            "{contrast} in {scheme}: {}",
            picture.display()
        );
        let ground = browser
            .value("getComputedStyle(document.body).backgroundColor")
            .await;
        let is_dark = ground != "rgb(255, 255, 255)";
        assert_eq!(is_dark, scheme == "dark", "{ground}");
        let first = "document.querySelector('tbody tr th').getBoundingClientRect().top";
        let first = browser.value(first).await.as_f64().expect("a number");
        assert!(
            first < f64::from(size.1),
            "the first row is seen without scrolling: {first}"
        );
        assert_eq!(browser.logged, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn the_page_is_read_in_order_without_styles() {
    let Some((mut browser, url)) = opened().await else {
        return;
    };
    browser.open(&url.0, SCREEN, "light").await;
    let bare = "document.querySelectorAll('style').forEach(style => style.remove()), document.body.innerText";
    let bare = browser.value(bare).await;
    let text = bare.as_str().expect("text");
    let places: Vec<_> = [
        "3 workloads need a person",
        "checkout",
        "ledger",
        "catalogue",
    ]
    .iter()
    .map(|word| text.find(word).unwrap_or_else(|| panic!("{word}: {text}")))
    .collect();
    assert!(places.is_sorted(), "{text}");
    let heads = browser
        .value("document.querySelectorAll('thead th[scope=col]').length")
        .await;
    let names = browser
        .value("document.querySelectorAll('tbody th[scope=row]').length")
        .await;
    assert_eq!((heads, names), (json!(5), json!(9)));
}

#[tokio::test]
async fn the_page_of_a_controller_loads_nothing_and_its_links_choose() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let (world, controller) = World::with_web("browser", "interval: 24h").await;
    let bad = Deployment::named("bad")
        .container("app", "registry.invalid/<script>alert(1)</script>:main");
    let bad = bad.annotation("kube-autorollout/interval", "soon");
    world.create(bad.replicas(0).labelled()).await;
    until_row(&controller, "bad", |row| row["needsPerson"] == true).await;
    let url = controller.url();
    browser.open(&url, SCREEN, "light").await;
    assert_eq!(
        browser.requested,
        [format!("{url}/")],
        "the page, and nothing else"
    );
    assert_eq!(browser.logged, [] as [Value; 0], "no policy is broken");
    assert_eq!(browser.value("document.scripts.length").await, 0);
    let names =
        "[...document.querySelectorAll('tbody th')].map(name => name.firstChild.data.trim())";
    assert_eq!(browser.value(names).await, json!(["bad", "web"]));
    let link = "[...document.links].find(link => link.textContent.startsWith('UpToDate')).href";
    let link = browser.value(link).await;
    assert_eq!(link, format!("{url}/?state=UpToDate"));
    browser
        .open(link.as_str().expect("a link"), PHONE, "dark")
        .await;
    assert_eq!(browser.value(names).await, json!(["web"]));
    let current = "document.querySelector('[aria-current]').textContent";
    assert_eq!(browser.value(current).await, "UpToDate 1");
    let namespace = browser
        .value("document.querySelector('tbody th a').href")
        .await;
    let expected = format!("{url}/?namespace={}&state=UpToDate", world.namespace.name());
    assert_eq!(namespace, expected);
}
