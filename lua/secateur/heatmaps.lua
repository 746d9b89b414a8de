--- Sheets of samples for the report: the image, and what each method says about it.
-- @module secateur.heatmaps
local attribute = require "secateur.attribute"
local core = require "secateur.core"
local files = require "secateur.util.files"
local heatmap = require "secateur.attribution.heatmap"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"

local rules = {
  dir = { type = "string", required = true },
  methods = { type = "table", default = { "lrp", "dlb", "ig" } },
  indices = { type = "table" },
  per_class = { type = "integer", min = 1, default = 1 },
  name = { type = "string", default = "sample" },
  width = { type = "integer", min = 16, default = 224 },
  percentile = { type = "number", above = 0, max = 100, default = 99.5 },
  steps = { type = "integer", min = 1, default = 32 },
}

-- The first per_class samples of each class.
local function first_of_each(split, per_class)
  local seen, indices = {}, {}
  for index, label in ipairs(split.labels) do
    seen[label] = (seen[label] or 0) + 1
    if seen[label] <= per_class then indices[#indices + 1] = index end
  end
  return indices
end

local function save(dir, name, picture)
  local path = files.join(dir, name .. ".png")
  core.image_save(path, picture)
  return path
end

-- The sheet of one sample: the image itself and an overlay per method.
local function sheet(model, split, index, x, label, opts)
  local image = split:image(index)
  local scale = math.max(1, opts.width // image:size(3))
  local big = core.image_resize(image, image:size(2) * scale, image:size(3) * scale)
  local stem = ("%s-%d"):format(opts.name, index)
  local images = { { label = "image", path = save(opts.dir, stem .. "-image", big:clamp(0, 1)) } }
  local class
  for _, method in ipairs(opts.methods) do
    local result = attribute(model, x, { method = method, layers = {}, steps = method == "ig" and opts.steps or nil })
    class = result.target[1]
    local picture = heatmap(result.input[1], { image = image, scale = scale, percentile = opts.percentile })
    images[#images + 1] = { label = method, path = save(opts.dir, stem .. "-" .. method, picture) }
  end
  local title = ("%s: %s, predicted %s"):format(split.names[index], split.classes[label], split.classes[class])
  return { title = title, images = images }
end

--- Explains samples of a split by several methods and draws them, for `sc.report(results, dir, {heatmaps = ...})`.
-- The explanation is of the predicted class.
-- @tparam Model model
-- @tparam Split split
-- @tparam table opts `dir` (folder for the PNG files, made if missing), `methods` ({"lrp", "dlb", "ig"}), `indices` (of
--   samples; else the first `per_class` (1) of each class), `name` ("sample": how files begin), `width` (224: pixels of
--   a picture, about), `percentile` (99.5, see `heatmap`), `steps` (32, for ig)
-- @treturn {table,...} each `title` and `images`, a list of `label` and `path`
return function(model, split, opts)
  model_class.check("heatmaps", model)
  local checked = options.check("heatmaps", opts, rules)
  files.mkdir_p(checked.dir)
  local sheets = {}
  for _, index in ipairs(checked.indices or first_of_each(split, checked.per_class)) do
    local x, y = split:batch { index }
    if x and x:size(1) == 1 then sheets[#sheets + 1] = sheet(model, split, index, x, y[1], checked) end
  end
  model:release()
  return sheets
end
