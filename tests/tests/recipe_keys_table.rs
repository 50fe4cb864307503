const TABLE: &[(Base, &str, &str, &str)] = &[
    (Base::Warc, "links.dumps", "[\"RS\"]", ""),
];
