--- Documentation of images and files in the native core (csrc/lua/l_image_source.c, l_image_loader.c, l_file.c,
-- l_safetensors.c, l_onnx.c).
--
-- There is no code here: `make doc` and `sc.help` read the comments; .ci/lint checks that no method is missing.
-- @module secateur.help.native.files

--- Many images behind one interface, counted from 1: `core.image_source(opts)`, with `kind` "files" (`paths`,
-- `max_pixels`, `max_bytes`, `window`, `cache_bytes`), "pixels" (`pixels`: uint8 Tensor [N x H x W] or
-- [N x H x W x channels]) or "phantom" (`labels`, `seed`, `size`, `cache_bytes`).
-- @type ImageSource

--- How many images there are, readable or not.
-- @function ImageSource:count
-- @treturn int

--- The files that are missing, no image or too large, by their headers.
-- @function ImageSource:check
-- @treturn {table,...} each `index`, `message`

--- Digests of the decoded pixels, on all cores: images are the same where these are, whatever files they came from (a
-- grey image and the same stored as colour, too). 128 bits of MurmurHash3: fit for finding duplicates, not security.
-- @function ImageSource:digests
-- @tparam[opt] {int,...} indices all by default
-- @treturn {string,...} 32 hexadecimal digits per image, false where it cannot be read

--- Which stored values images use, on all cores.
-- @function ImageSource:extents
-- @tparam {int,...} indices
-- @treturn {table,...} `low`, `high`, `limit` (the highest value of the format), `bits` (of a PNG's sBIT chunk, else
-- nil); false where the image cannot be read

--- The box that a whole image fills in the square that it becomes: all of it, but where images are padded.
-- @function ImageSource:content
-- @int index
-- @tab opts as `ImageSource:batch`
-- @treturn[1] int left, from 0
-- @treturn[1] int top
-- @treturn[1] int width
-- @treturn[1] int height
-- @treturn[2] nil
-- @treturn[2] string why it cannot be read

--- Decodes images on all cores.
-- @function ImageSource:batch
-- @tparam {int,...} indices
-- @tab opts `size`, `channels` (3), `resize` ("squash", "crop", "pad", or the shorter side before a crop),
-- `interpolation` ("bilinear", "bicubic", "nearest"), `range` ("full", "percentile", `{low, high}`), `mean` (0),
-- `std` (1), `augment`, `seed` (0), `epoch` (0)
-- @treturn Tensor [n x C x size x size], the images that could be read
-- @treturn {int,...} their positions in indices
-- @treturn {table,...} `index` and `message` of the others

--- One image as decoded, in 0..1.
-- @function ImageSource:pixels
-- @int index
-- @treturn Tensor [C x H x W]

--- Frees the memory now.
-- @function ImageSource:close

--- Batches made by threads before they are asked for: `core.image_loader(source, opts)`, with `indices`, `batch` (32),
-- `workers` (2), `prefetch` (4 batches), and the options of `ImageSource:batch`.
-- @type ImageLoader

--- The next batch, as from `ImageSource:batch`; positions count within all of the loader's indices.
-- @function ImageLoader:next
-- @treturn ?Tensor nil after the last batch; without rows when no image of the batch could be read
-- @treturn {int,...} positions
-- @treturn {table,...} failures

--- Stops the threads.
-- @function ImageLoader:close

--- A file whose bytes, zip entries and tensors are read where the caller says: `core.file_open(path)`.
-- @type File

--- Its size in bytes.
-- @function File:size
-- @treturn int

--- When it was last changed.
-- @function File:modified
-- @treturn int nanoseconds since 1970

--- Some of its bytes.
-- @function File:bytes
-- @int offset from 0
-- @int length
-- @treturn string

--- The CRC-32 of some of its bytes.
-- @function File:crc32
-- @int offset from 0
-- @int length
-- @treturn int

--- The number of entries of the zip archive that the file must be.
-- @function File:zip
-- @treturn int

--- The name of a zip entry.
-- @function File:name
-- @int i
-- @treturn string

--- Where a zip entry lies.
-- @function File:entry
-- @string name
-- @treturn ?int offset of its stored bytes, nil when there is no such entry
-- @treturn int how many there are
-- @treturn int their CRC-32
-- @treturn boolean whether they are the bytes themselves, neither compressed nor encrypted

--- A strided view of a storage in the file.
-- @function File:tensor
-- @string dtype in the words of safetensors, as "F32"
-- @tparam {int,...} shape
-- @tparam {int,...} strides in elements
-- @int offset in elements
-- @int first byte of the storage
-- @int length of the storage in bytes
-- @bool big_endian
-- @int[opt] crc the view must be the whole storage, with this CRC-32
-- @treturn Tensor

--- Closes the file; tensors that were read stay.
-- @function File:close

--- A safetensors file, raw: `core.safetensors_open(path)`. See `sc.safetensors` for the usual way.
-- @type SafetensorsFile

--- The header's JSON, as it is.
-- @function SafetensorsFile:header
-- @treturn string

--- The size of all that follows the header.
-- @function SafetensorsFile:bytes
-- @treturn int

--- A tensor of the bytes first .. last - 1 after the header, counted from 0.
-- @function SafetensorsFile:tensor
-- @string dtype in the words of safetensors, as "F32"
-- @tparam {int,...} shape
-- @int first
-- @int last
-- @treturn Tensor

--- Closes the file; tensors that were read stay.
-- @function SafetensorsFile:close

--- An ONNX model under construction: `core.onnx{ ir_version =, opset =, producer =, version =, name = }`. See
-- `Model:export_onnx` for the usual way.
-- @type Onnx

--- Adds an entry to the metadata.
-- @function Onnx:metadata
-- @string key
-- @string value

--- Declares an input.
-- @function Onnx:input
-- @string name
-- @tab shape sizes, or names of sizes that are free

--- Declares an output.
-- @function Onnx:output
-- @string name
-- @tab shape sizes, or names of sizes that are free

--- Adds a constant tensor, shared.
-- @function Onnx:initializer
-- @string name
-- @tparam Tensor tensor

--- Adds a node.
-- @function Onnx:node
-- @tab node `op`, `name`, `inputs`, `outputs` (names), `attributes` (list of `{name, value}`)

--- Writes the file, whole or not at all.
-- @function Onnx:write
-- @string path
