//! texts of a set: SET/html/*.html -> OUT/ID.txt
fn main() {
    let mut args = std::env::args().skip(1);
    let (set, out) = (args.next().unwrap(), args.next().unwrap());
    std::fs::create_dir_all(&out).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(format!("{set}/html")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let begin = std::time::Instant::now();
    for path in names {
        let bytes = std::fs::read(&path).unwrap();
        let text = extract::extract(&bytes, None, &extract::Options::default()).map(|p| p.text).unwrap_or_default();
        std::fs::write(format!("{out}/{}.txt", path.file_stem().unwrap().to_str().unwrap()), text).unwrap();
    }
    eprintln!("{:?}", begin.elapsed());
}
