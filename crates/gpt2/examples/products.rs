//! Rates of the products that a training step is made of: `cargo run --release -p webtext-gpt2 --example products`.

use gpt2::{Precision, ProductLayout, peak_gflops, product_gflops};

fn main() {
    let shapes = [
        ("c_attn, small", 1024, 1152, 384),
        ("c_fc, small", 1024, 1536, 384),
        ("mlp.c_proj, small", 1024, 384, 1536),
        ("logits, small", 512, 50257, 384),
        ("dlogits · wte, small", 512, 384, 50257),
        ("c_fc, 124M", 256, 3072, 768),
        ("mlp.c_proj, 124M", 256, 768, 3072),
        ("logits, 124M", 256, 50257, 768),
        ("dlogits · wte, 124M", 256, 768, 50257),
    ];
    for precision in [Precision::F32, Precision::Bf16] {
        println!("{precision:?}: peak {:.0} GFLOP/s", peak_gflops(precision));
        for (name, rows, columns, length) in shapes {
            let rate = |shape, layout| product_gflops(shape, layout, precision, 5);
            let plain = rate((rows, columns, length), ProductLayout::Plain);
            let right = rate((rows, columns, length), ProductLayout::RightTransposed);
            let left = rate((length, columns, rows), ProductLayout::LeftTransposed);
            println!("  {name:22} x·w {plain:4.0}   x·wᵀ {right:4.0}   xᵀ·y (of length {rows}) {left:4.0}");
        }
    }
}
