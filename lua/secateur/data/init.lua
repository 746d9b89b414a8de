--- Data sets: `sc.data.folder`, `mura`, `kvasir`, `cpn`, `fetal` (a folder of images), `medmnist` (an npz file) and
-- `phantom` (nothing at all).
--
-- All take `size` (224), `channels` (3, or 1), `mean`, `std` (ImageNet's), `seed` (0) and `splits` (`{train = .7,
-- val = .1, test = .2}`) where samples are assigned to splits, `on_error` ("skip" or "stop" at an image that cannot be
-- read), `max_pixels` (larger images count as unreadable), `cache_bytes` (for decoded images), `quiet` (no warnings),
-- `like` (a Model: images are prepared as its were, with its classes in its order, unless other options say otherwise).
-- @module secateur.data
local from_files = require "secateur.data.from_files"

local data = {
  medmnist = require "secateur.data.medmnist",
  phantom = require "secateur.data.phantom",
}

--- A folder of images with a folder per class; or train, val and test folders of such; or images listed in `split.csv`
-- (columns file, label, split).
-- @function folder
-- @string root
-- @tab[opt] opts
-- @treturn Dataset
data.folder = from_files.constructor("folder", require "secateur.data.folder")

--- MURA v1.1.
-- @function mura
-- @string root the folder MURA-v1.1, or the one above it
-- @tab[opt] opts also `study`: a name such as "XR_WRIST", a list of these, or nil for all
-- @treturn Dataset
data.mura = from_files.constructor("mura", require "secateur.data.mura")

--- Kvasir, version 1 or 2.
-- @function kvasir
-- @string root the folder of the classes, or the one above it
-- @tab[opt] opts
-- @treturn Dataset
data.kvasir = from_files.constructor("kvasir", require "secateur.data.kvasir")

--- COVID-19, pneumonia and normal chest X-rays.
-- @function cpn
-- @string root the folder of the classes, or one above it
-- @tab[opt] opts
-- @treturn Dataset
data.cpn = from_files.constructor("cpn", require "secateur.data.cpn")

--- FETAL_PLANES_DB.
-- @function fetal
-- @string root the folder of FETAL_PLANES_DB_data.csv, or the one above it
-- @tab[opt] opts
-- @treturn Dataset
data.fetal = from_files.constructor("fetal", require "secateur.data.fetal")

return data
