//! Pictures as bytes: what somebody sent in, what it is, or a small variant of it, out. Pure.
//!
//! A picture is what its bytes say, whatever it was called. Its size is read before it is decoded,
//! and it is decoded whole before it is stored, so that what is stored can be shown: what claims to
//! be larger than we take, or unfolds to more, ends here.

use std::io::Cursor;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageFormat,
    ImageReader, Limits,
};

use crate::config::{
    PICTURE_DECODE_SIZE_MAX, PICTURE_PIXELS_MAX, PICTURE_QUALITY, PICTURE_SIDE_MAX,
};
use crate::units::KIB;

/// What a picture's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF; of one that moves the first picture counts.
    Gif,
}

impl Form {
    const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif];

    /// The end of its name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// The form of names that end so.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.extension() == extension)
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    const fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
        }
    }
}

/// What a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its file.
    pub form: Form,
    /// Its width in pixels, as it is to be shown.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Why it is no picture for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is none of the forms that we take.
    Unknown,
    /// It has more pixels than we take.
    TooLarge {
        /// How wide it is,
        width: u32,
        /// and how high.
        height: u32,
    },
    /// It can't be decoded.
    Damaged(String),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is no JPEG, PNG, WebP or GIF"),
            Self::TooLarge { width, height } => write!(
                f,
                "it has {width} x {height} pixels (at most {PICTURE_SIDE_MAX} a side, and \
                 {PICTURE_PIXELS_MAX} in all)"
            ),
            Self::Damaged(why) => write!(f, "it can't be decoded: {why}"),
        }
    }
}

/// What these bytes are, looked at to the last pixel.
///
/// # Errors
///
/// `Unfit`.
pub fn seen(bytes: &[u8]) -> Result<Seen, Unfit> {
    let (form, picture) = decoded(bytes)?;
    Ok(Seen { form, width: picture.width(), height: picture.height() })
}

/// The picture so wide, or as wide as it is if that is less; and what the file of it is: JPEG, or
/// PNG where one can see through it.
///
/// # Errors
///
/// `Unfit`; or it can't be written.
pub fn variant(bytes: &[u8], width: u32) -> Result<(Vec<u8>, Form), Unfit> {
    let damaged = |error: &dyn std::fmt::Display| Unfit::Damaged(error.to_string());
    let (_, picture) = decoded(bytes)?;
    let (wide, high) = (picture.width(), picture.height());
    let width = width.min(wide);
    let height = u64::from(high) * u64::from(width) / u64::from(wide.max(1));
    let height = u32::try_from(height).unwrap_or(u32::MAX).max(1);
    let is_clear = picture.color().has_alpha()
        && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX);
    let (pixels, kind, color) = if is_clear {
        (picture.into_rgba8().into_raw(), PixelType::U8x4, ExtendedColorType::Rgba8)
    } else {
        (picture.into_rgb8().into_raw(), PixelType::U8x3, ExtendedColorType::Rgb8)
    };
    let source = Image::from_vec_u8(wide, high, pixels, kind).map_err(|error| damaged(&error))?;
    let mut small = Image::new(width, height, kind);
    // It knows that what is clear has no colour of its own.
    Resizer::new().resize(&source, &mut small, None).map_err(|error| damaged(&error))?;
    let mut file = Vec::new();
    let (written, form) = if is_clear {
        let encoder =
            PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
        (encoder.write_image(small.buffer(), width, height, color), Form::Png)
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut file, PICTURE_QUALITY);
        (encoder.write_image(small.buffer(), width, height, color), Form::Jpeg)
    };
    written.map_err(|error| damaged(&error))?;
    Ok((file, form))
}

/// Whether a JPEG ends, but for what cameras put behind it.
fn has_end(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(64 * KIB)..];
    memchr::memmem::find(tail, b"\xff\xd9").is_some()
}

/// All pixels, the right way up.
fn decoded(bytes: &[u8]) -> Result<(Form, DynamicImage), Unfit> {
    let guessed = image::guess_format(bytes).map_err(|_| Unfit::Unknown)?;
    let form = Form::ALL.into_iter().find(|form| form.format() == guessed);
    let form = form.ok_or(Unfit::Unknown)?;
    let damaged = |error: image::ImageError| Unfit::Damaged(error.to_string());
    // Its decoder makes up what is missing of a JPEG; one that was cut has no end.
    if form == Form::Jpeg && !has_end(bytes) {
        return Err(Unfit::Damaged("it has no end".to_owned()));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(PICTURE_DECODE_SIZE_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), guessed);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let is_large = width.max(height) > PICTURE_SIDE_MAX
        || u64::from(width) * u64::from(height) > PICTURE_PIXELS_MAX;
    if is_large || width == 0 || height == 0 {
        return Err(Unfit::TooLarge { width, height });
    }
    // What its camera says of it; where that can't be read, it is as it is.
    let turned = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if let Some(turned) = turned {
        picture.apply_orientation(turned);
    }
    Ok((form, picture))
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Rgb, Rgba};

    use super::*;

    fn file(picture: &DynamicImage, form: Form) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, form.format()).unwrap();
        bytes.into_inner()
    }

    fn red(width: u32, height: u32) -> DynamicImage {
        ImageBuffer::from_pixel(width, height, Rgb([200_u8, 10, 10])).into()
    }

    #[test]
    fn a_picture_is_what_its_bytes_are() {
        for form in Form::ALL {
            let bytes = file(&red(60, 40), form);
            assert_eq!(seen(&bytes), Ok(Seen { form, width: 60, height: 40 }));
            assert_eq!(Form::of_extension(form.extension()), Some(form));
            let (small, of) = variant(&bytes, 32).unwrap();
            let small_seen = Seen { form: of, width: 32, height: 21 };
            assert_eq!((seen(&small), of), (Ok(small_seen), Form::Jpeg));
            // It is not made larger.
            let (same, _) = variant(&bytes, 64).unwrap();
            assert_eq!(seen(&same).unwrap().width, 60);
            for size in [0, 1, 8, bytes.len() / 2] {
                assert!(seen(&bytes[..size]).is_err(), "{form:?} cut to {size}");
            }
        }
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>";
        for other in [&svg[..], b"", b"BM\x00\x00", b"%PDF-1.4", b"\x00\x00\x01\x00"] {
            assert_eq!(seen(other), Err(Unfit::Unknown));
        }
    }

    #[test]
    fn what_one_sees_through_stays_so() {
        let mut clear = ImageBuffer::from_pixel(40, 40, Rgba([0_u8, 0, 0, 0]));
        let bytes = file(&clear.clone().into(), Form::Png);
        let (small, form) = variant(&bytes, 20).unwrap();
        assert_eq!((form, seen(&small).unwrap().width), (Form::Png, 20));
        let pixel = image::load_from_memory(&small).unwrap().to_rgba8().get_pixel(9, 9).0;
        assert_eq!(pixel[3], 0);
        // One that could be seen through, and is not.
        clear.pixels_mut().for_each(|pixel| pixel.0[3] = 255);
        assert_eq!(variant(&file(&clear.into(), Form::Png), 20).unwrap().1, Form::Jpeg);
    }

    #[test]
    fn what_unfolds_to_more_than_we_take_is_refused_before_it_does() {
        // A few kilobytes that say they are 64 megapixels: the head of a PNG, and no end of zeros.
        let mut bomb = file(&red(1, 1), Form::Png);
        let size = 8192_u32.to_be_bytes();
        bomb[16..20].copy_from_slice(&size);
        bomb[20..24].copy_from_slice(&size);
        let crc = crc32fast::hash(&bomb[12..29]).to_be_bytes();
        bomb[29..33].copy_from_slice(&crc);
        assert_eq!(seen(&bomb), Err(Unfit::TooLarge { width: 8192, height: 8192 }));
        let long = file(&red(PICTURE_SIDE_MAX + 1, 1), Form::Png);
        assert_eq!(seen(&long), Err(Unfit::TooLarge { width: PICTURE_SIDE_MAX + 1, height: 1 }));
    }
}
