//! Rates of the products that a training step is made of, as a share of the peak, and as a multiple of the rate of the
//! crate `gemm`: `cargo run --release -p webtext-gpt2 --example products`. `GPT2_KERNEL=avx2` forces a kernel.

use gpt2::{Kernel, KernelError, Precision, ProductLayout, peak_gflops, product_gflops};

const SHAPES: [(&str, usize, usize, usize); 9] = [
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

fn main() -> Result<(), KernelError> {
    // Some of the shapes, by a part of their names.
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let kernel = Kernel::chosen()?;
    for precision in Precision::ALL {
        let peak = peak_gflops(precision);
        println!("{kernel}, {precision}: peak {peak:.0} GFLOP/s; of it, and beside gemm in f32:");
        for (name, rows, columns, length) in SHAPES.into_iter().filter(|shape| shape.0.contains(&wanted)) {
            let rate = |shape, layout| {
                // In turn, so that a busy machine hits both.
                let (mut own, mut of_gemm) = (0.0f64, 0.0f64);
                for _ in 0..20 {
                    own = own.max(product_gflops(kernel, shape, layout, precision, 1));
                    of_gemm = of_gemm.max(product_gflops(Kernel::Gemm, shape, layout, Precision::F32, 1));
                }
                format!("{own:4.0} {:3.0}% {:4.2}×", 100.0 * own / peak, own / of_gemm)
            };
            let plain = rate((rows, columns, length), ProductLayout::Plain);
            let right = rate((rows, columns, length), ProductLayout::RightTransposed);
            let left = rate((length, columns, rows), ProductLayout::LeftTransposed);
            println!("  {name:22} x·w {plain}   x·wᵀ {right}   xᵀ·y (of length {rows}) {left}");
        }
    }
    Ok(())
}
