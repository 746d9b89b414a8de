--- Data sets: `sc.data.folder`, `mura`, `kvasir`, `cpn`, `fetal` (a folder of images), `csv` (images listed in a
-- table), `medmnist` (an npz file) and `phantom` (nothing at all); `open` takes any of these by its path.
--
-- All take `size` (224), `channels` (3, or 1), `mean`, `std` (ImageNet's), `seed` (0), `quiet` (no warnings), `like` (a
-- Model: images are prepared as its were, with its classes in its order, unless other options say otherwise), and, each
-- as far as it makes sense there:
--
-- * `splits` (`{train = .7, val = .1, test = .2}`): where samples are assigned to splits; a share left out is 0, and
--   the split empty (`splits = {test = 1}`: an external test set). Where a set brings splits along: without val, it is
--   split off of train; without test, test is val, the same images; both are said.
-- * `classes`: a list of names (their order; classes not in it are left out), or a table of new name = old name, or
--   { old names } to be merged, in natural order of the new names (with `like`, in the model's). By default all, in
--   natural order (2 before 10).
-- * `only`, `skip`: patterns of files, or lists of them ("*_mask.png" of names, "masks/*" of paths). Masks beside
--   images (NAME_mask.png or NAME_segmentation.png beside NAME.png; a folder "masks" or "lung masks" of a class that
--   has images elsewhere) are left out unless `only` is given.
-- * `group`: which images belong together (a patient): a function of a file's path below the root and its whole path,
--   a column of `split.csv`, or "patient" or "study" (a column of that name, else PatientID or StudyInstanceUID in the
--   headers of DICOM files, of which nothing else is kept). Where splits are assigned, no group lies in two of them;
--   where a set brings splits that divide a group, `on_duplicate` says what happens.
-- * `on_duplicate` ("warn"): what to do about equal images in more than one split (equal pixels, whatever the file):
--   "warn", "error", "drop" (keep them in the last split alone: test before val before train), "ignore" (do not look).
--   Looking decodes every image once; unless this is given, in a set of over 1 GiB only equal files are found, and that
--   is said. Equal images of one split are said where their labels differ.
-- * `encoding` ("latin1"): what names of classes and files are that are not UTF-8; without it they are an error.
-- * `on_error` ("skip", or "stop" at what cannot be read), `max_pixels` (larger images count as unreadable),
--   `max_bytes` (so do those that take more when decoded; 4 for each of `max_pixels`), `cache_bytes` (for decoded
--   images). Only what is wrong with a file itself makes it unreadable: where memory or descriptors run out, or a file
--   that was found is gone when it is wanted, that is an error whatever `on_error` says.
--
-- Every file of a class folder is an image, whatever its ending, or is skipped by name and reason (`.skipped`); dot
-- files, Thumbs.db, desktop.ini, `__MACOSX`, `@eaDir` and `$RECYCLE.BIN` are passed over. What was left out or assumed
-- is said on stderr once and stands in `.notes` and in the summary.
--
-- Links are followed, but a file is read once, whatever links (of either kind) lead to it: under its own name rather
-- than that of a link, and else in the last split (test before val before train). So a class or a split that links to
-- another one's files does not get them.
--
-- How an image becomes a square of `size`: `resize` is "squash" (the default: its aspect is not kept), "crop" (the
-- shorter side becomes `size`, of the longer one the middle), "pad" (the longer side becomes `size`, black borders on
-- both sides, as Pillow's `ImageOps.pad`), or a number n with `crop = m` (the shorter side becomes n, then the middle
-- m x m: `resize = 256, crop = 224` is what torchvision's weights expect; m is then the `size`). `interpolation` is
-- "bilinear" (the default), "bicubic" or "nearest", as Pillow's filters. Random crops of a training are crops of the
-- whole image, where images are padded of the padded square.
--
-- Which stored values are black and white: by default 0 and the format's highest value (of PNG files with an sBIT chunk
-- the highest of so many bits). `range` is "full" (the lowest and highest value of each image), "percentile" (its
-- percentiles 0.5 and 99.5), or `{low, high}` in stored units (0 .. 255, or 0 .. 65535 in 16 bits). What lies outside
-- is cut off. A set whose values stay below 1/8 of the format's highest is named on stderr (files of 8 and of 16 bits
-- each by themselves), and so is one that a given range, in the units of other files, makes dark or white.
--
-- Images are PNG, JPEG, BMP and, where the build has their libraries, TIFF (one page), WebP (still) and DICOM (one
-- frame, of any transfer syntax of DCMTK's, or JPEG 2000), told by their content. Alpha is dropped. Grey levels of
-- DICOM files are made as PS3.3 says: RescaleSlope and RescaleIntercept (or the modality's table), then the window,
-- then MONOCHROME1 inverted. `window` is "file" (the default: the first window of the file, else its VOI table, else as
-- "full"), "full" (all values that its bits can have) or `{centre, width}` in units after
-- rescaling (Hounsfield's of a CT: `{-600, 1500}` for lungs). `range` then counts in 0 .. 65535 of the result.
-- @module secateur.data
local from_files = require "secateur.data.from_files"
local methods = require "secateur.util.methods"
local open = require "secateur.data.open"

local data = {
  csv = require "secateur.data.csv",
  medmnist = require "secateur.data.medmnist",
  phantom = require "secateur.data.phantom",
}

--- A folder of images with a folder per class; or train, val and test folders of such; or images listed in `split.csv`
-- (columns file, label, split, and any for `group`). Its files must lie below the folder, links followed, unless
-- `outside = true`: a table of somebody else's may name any file of the machine.
-- @function folder
-- @string root
-- @tab[opt] opts also `outside` (false)
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
-- @tab[opt] opts also `outside`, of a `split.csv`, see `folder`
-- @treturn Dataset
data.cpn = from_files.constructor("cpn", require "secateur.data.cpn")

--- FETAL_PLANES_DB.
-- @function fetal
-- @string root the folder of FETAL_PLANES_DB_data.csv, or the one above it
-- @tab[opt] opts
-- @treturn Dataset
data.fetal = from_files.constructor("fetal", require "secateur.data.fetal")

--- Opens a data set by what its path is: a folder (`folder`), a .npz (`medmnist`), a .csv or .tsv (`csv`), or with the
-- kind before it: "cpn:DIR", "kvasir:DIR", "mura:DIR", "fetal:DIR", "csv:FILE". Options may stand behind the path, as a
-- user types them, and count before `opts`: "chest.csv?file=Image Index&label=Finding Labels&label_separator=|";
-- several names have commas between them ("?classes=normal,covid").
-- @function open
-- @string path
-- @tab[opt] opts go to the constructor; those that it has no use for are refused, but for `seed`
-- @treturn Dataset
-- @usage
-- local data = sc.data.open(arg[1], { like = model })
data.open = open.constructor(data)

return methods.suggest("data", data)
