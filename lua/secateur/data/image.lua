--- One image as a Tensor: `sc.image`.
-- @module secateur.data.image
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"
local image_options = require "secateur.data.image_options"
local options = require "secateur.util.options"
local unlabelled = require "secateur.data.unlabelled"

local rules = unlabelled.rules()
rules.like = dataset.rules().like
rules.cache_bytes = nil

--- Reads one image, prepared as a data set would prepare it: resized, normalised.
-- @string path a PNG, JPEG or BMP file, or of another format that was built in
-- @tab[opt] opts those of `sc.data` that say how an image becomes a Tensor: `size` (224), `channels` (3, or 1),
-- `resize`, `crop`, `interpolation`, `range`, `window`, `mean`, `std` (ImageNet's; `mean = 0, std = 1` leaves values
-- in 0 .. 1), `max_pixels`, `max_bytes`; or `like`, a Model, as whose images it is prepared
-- @treturn Tensor [C x S x S]
-- @raise where the file cannot be read
-- @usage
-- local x = sc.image("patient.png", { like = model })
-- print(model:forward(x:reshape(1, table.unpack(x:shape()))))
return function(path, opts)
  options.value("image", "path", path, { type = "string", required = true })
  opts = dataset.options("image", opts, rules)
  local source <close> = core.image_source { kind = "files", paths = { path }, max_pixels = opts.max_pixels,
    max_bytes = opts.max_bytes, window = opts.window, cache_bytes = 0 }
  local x, positions, failures = errors.within("image", source.batch, source, { 1 },
    image_options.native(image_options.preparation(opts)))
  if #positions == 0 then errors.refuse("image", "%s", failures[1].message) end
  return x:reshape(opts.channels, opts.size, opts.size)
end
