"""Writes the golden data beside it: what Pillow makes of images. Run by hand, with Pillow 12.3 and transformers 5.17.

resize.json  SHA-256 of the bytes of Image.resize on deterministic inputs (repeated in src/image/resize.test.ts)
smart-resize.json  the sizes that transformers (5.17) and the published preprocess_image_with_min_size choose
decode.json  SHA-256 of the RGB bytes of the small files written here
"""
import base64, hashlib, json, pathlib
from PIL import Image, ImageOps
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

here = pathlib.Path(__file__).parent
FILTERS = {'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC, 'lanczos': Image.LANCZOS}


def noise(count, seed):
    """The high byte of a 32-bit linear congruential generator."""
    state, out = seed, bytearray()
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return bytes(out)


def source(kind, width, height):
    if kind == 'noise':
        data = noise(width * height * 3, width * 65536 + height)
    else:  # only 0 and 255: the overshoot of the filters must be clipped
        data = bytes(255 if b & 1 else 0 for b in noise(width * height * 3, width * 65536 + height))
    return Image.frombytes('RGB', (width, height), data)


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


SIZES = [
    (1, 1, 1, 1), (1, 1, 7, 5), (7, 5, 1, 1), (1, 40, 28, 3), (40, 1, 3, 28), (2, 3, 3, 2), (3, 3, 3, 3),
    (13, 17, 13, 34), (13, 17, 26, 17), (13, 17, 13, 4), (13, 17, 5, 17), (97, 61, 96, 60), (97, 61, 98, 62),
    (131, 97, 140, 84), (131, 97, 24, 24), (64, 48, 384, 384), (300, 200, 24, 24), (200, 11, 17, 150),
    (11, 200, 150, 17), (255, 256, 100, 101), (5, 301, 5, 300), (640, 3, 7, 1000), (1000, 2, 999, 2),
    (23, 20, 32, 28), (333, 222, 111, 74), (37, 41, 373, 7), (512, 384, 392, 280), (2, 2, 1, 500), (19, 700, 2, 2),
]

cases = []
for width, height, to_width, to_height in SIZES:
    for kind in ('noise', 'extremes'):
        image = source(kind, width, height)
        for name, resample in FILTERS.items():
            cases.append([kind, width, height, to_width, to_height, name, digest(image.resize((to_width, to_height), resample))])
(here / 'resize.json').write_text('[\n' + ',\n'.join('  ' + json.dumps(c) for c in cases) + '\n]\n')


def smooth(width, height):
    return Image.frombytes('RGB', (9, 7), noise(9 * 7 * 3, 5)).resize((width, height), Image.BICUBIC)


def on_white(image):
    rgba = image.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', rgba.size, (255, 255, 255, 255)), rgba).convert('RGB')


base = smooth(37, 29)
exif = Image.Exif()
exif[0x0112] = 6
alpha = base.copy()
alpha.putalpha(Image.frombytes('L', (37, 29), noise(37 * 29, 9)).point(lambda v: 255 if v > 160 else 0 if v < 80 else v))
grey16 = Image.new('I;16', (37, 29))
for y in range(29):
    for x in range(37):
        grey16.putpixel((x, y), (x * 1771 + y * 97) & 0xFFFF)
files = {
    'rgb.png': (base, {}),
    'rgb-420.jpg': (base, {'quality': 90, 'subsampling': 2}),
    'rgb-progressive.jpg': (base, {'quality': 85, 'progressive': True}),
    'grey.jpg': (base.convert('L'), {'quality': 90}),
    'cmyk.jpg': (base.convert('CMYK'), {'quality': 90}),
    'exif-6.jpg': (base, {'quality': 90, 'exif': exif}),
    'grey.png': (base.convert('L'), {}),
    'grey-alpha.png': (alpha.convert('LA'), {}),
    'grey-16.png': (grey16, {}),
    'palette.png': (base.quantize(16), {}),
    'bilevel.png': (base.convert('1'), {}),
    'rgba.png': (alpha, {}),
    'lossless.webp': (base, {'lossless': True}),
    'lossy.webp': (base, {'quality': 90}),
    'rgba.webp': (alpha, {'lossless': True, 'exact': True}),
    'animated.webp': (base, {'lossless': True, 'save_all': True, 'append_images': [ImageOps.invert(base)]}),
}
golden = {}
for name, (image, options) in files.items():
    image.save(here / name, **options)
    opened = ImageOps.exif_transpose(Image.open(here / name))
    if name == 'grey-16.png':
        # Pillow clips 16-bit greys when it converts them; a user expects the high byte.
        expected = Image.frombytes('L', opened.size, bytes(v >> 8 for v in opened.getdata())).convert('RGB')
    else:
        expected = on_white(opened) if 'A' in opened.getbands() else opened.convert('RGB')
    golden[name] = {'width': expected.width, 'height': expected.height, 'sha256': digest(expected)}
    if name.startswith(('rgba', 'grey-alpha', 'cmyk')):
        golden[name]['rgb'] = base64.b64encode(expected.tobytes()).decode()  # compared within a tolerance
(here / 'decode.json').write_text(json.dumps(golden, indent=2) + '\n')


def numbers(seed):
    while True:
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        yield seed >> 8


stream = numbers(3)
LIMITS = [(3136, 50176), (3136, 1003520), (12544, 802816), (3136, 12845056), (1000, 1000)]
# Halves (14, 42, 70, ...) are what Python's round and JavaScript's treat differently.
sizes = [(14 + 28 * (i % 9), 14 + 28 * (i // 9)) for i in range(81)] + [(1, 200), (200, 1), (4000, 20), (1, 1)]
sizes += [(1 + next(stream) % limit, 1 + next(stream) % limit) for limit in (60, 300, 3000) for _ in range(60)]
rows = []
for i, (width, height) in enumerate(sizes):
    if max(width, height) / min(width, height) > 200:
        continue
    least, most = LIMITS[i % len(LIMITS)]
    to_height, to_width = smart_resize(height, width, 28, least, most)
    # data_process_utils.py
    minimum = [width, height]
    if height < 28 or width < 28:
        scale = max(28 / height, 28 / width)
        minimum = [int(width * scale), int(height * scale)]
    rows.append([width, height, least, most, to_width, to_height, *minimum])
(here / 'smart-resize.json').write_text('[\n' + ',\n'.join('  ' + json.dumps(r) for r in rows) + '\n]\n')
