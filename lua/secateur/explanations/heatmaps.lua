--- Sheets of samples × methods: the image, and what each method says about it, as files for the report and for print.
-- @module secateur.explanations.heatmaps
local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local heads = require "secateur.models.heads"
local heatmap_titles = require "secateur.explanations.heatmap_titles"
local label_groups = require "secateur.data.label_groups"
local method_registry = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local output = require "secateur.util.output"
local predict = require "secateur.evaluation.predict"
local progress = require "secateur.util.progress"
local readable = require "secateur.data.readable"
local report = require "secateur.report"
local rendering = require "secateur.explanations.rendering"
local short_names = require "secateur.util.short_names"
local skipped = require "secateur.data.skipped"
local targets = require "secateur.models.targets"
local tensors = require "secateur.util.tensors"
local text_table = require "secateur.util.text_table"

local rules = {
  dir = { type = "string", required = true, check = function(dir) return dir ~= "", "a folder's path" end },
  methods = { type = "list", one_of = { "all" }, default = { "lrp", "dlb", "ig" } },
  target = { default = "prediction" },
  indices = { type = "list" },
  per_class = { type = "integer", min = 1, default = 1 },
  name = { type = "string", default = "sample" },
  width = { type = "integer", min = 16, max = 4096, default = 224 },
  steps = { type = { "integer", "string" }, min = 1 },
  batch = { type = "integer", min = 1, default = 16 },
  normalise_by = { one_of = { "panel", "method", "row" }, default = "panel" },
  scale_by = "normalise_by",
  sheet = { type = "boolean", default = true },
  sheet_width = { type = "number", min = 20, max = 2000, default = 180 },
  dpi = { type = "number", min = 36, max = 2400, default = 300 },
  gnuplot = { type = "string", default = "gnuplot" },
  pruned = { type = "table" },
}
for name, rule in pairs(rendering.rules) do rules[name] = rule end

-- Keys of an entry of `methods` that are ours; all others are options of attribute.
local own_keys = { name = true, label = true, colormap = true }

-- The methods as a list of {name=, label=, colormap=, slug=, options=}.
local function read_methods(opts)
  local list, taken = {}, {}
  for i, entry in ipairs(opts.methods == "all" and method_registry.explaining or opts.methods) do
    if type(entry) == "string" then entry = { name = entry } end
    if type(entry) ~= "table" or not method_registry.get_explaining(entry.name) then
      local got, known = type(entry) == "table" and entry.name or entry, method_registry.explaining
      errors.refuse("heatmaps", "methods[%d]: expected one of %s, or a table with such a name, got %s%s", i,
        options.describe_all(known), options.describe(got), options.suggest(got, known))
    end
    if entry.map ~= nil then errors.refuse("heatmaps", "methods: map is called colormap now") end
    if entry.label ~= nil and type(entry.label) ~= "string" then
      errors.refuse("heatmaps", "methods: expected a string as label, got %s at %d", options.describe(entry.label), i)
    end
    local method = { name = entry.name, label = entry.label or method_registry.get(entry.name).label,
      colormap = entry.colormap or opts.colormap, options = { method = entry.name, layers = {}, target = opts.target,
        batch = opts.batch } }
    if method_registry.get(entry.name).rules.steps then method.options.steps = opts.steps end
    for key, value in pairs(entry) do
      if not own_keys[key] then method.options[key] = value end
    end
    method_registry.check("heatmaps: " .. method.label, method.options, method_registry.common)
    method.slug = gnuplot.slug(entry.label and ("%s-%s"):format(entry.name, entry.label) or entry.name, taken)
    list[i] = method
  end
  if #list == 0 then errors.refuse("heatmaps", "methods: expected at least one, got none") end
  return list
end

-- Behind every method the same of the pruned model, which explains what the dense one explains.
local function with_pruned(methods, pruned)
  if not pruned then return methods end
  local list = {}
  for i, method in ipairs(methods) do
    local twin = { dense = method, model = pruned, options = {} }
    for _, key in ipairs { "name", "colormap" } do twin[key] = method[key] end
    for key, value in pairs(method.options) do twin.options[key] = value end
    twin.label, twin.slug = method.label .. ", pruned", method.slug .. "-pruned"
    method.label = method.label .. ", dense"
    list[2 * i - 1], list[2 * i] = method, twin
  end
  return list
end

-- Raises at the caller of heatmaps unless the pruned model takes the same images and knows the same classes.
local function check_pruned(model, pruned)
  if not pruned then return end
  model_class.check("heatmaps", pruned, "pruned")
  local shape, other = table.concat(model.input_shape, " x "), table.concat(pruned.input_shape, " x ")
  if shape ~= other or model.class_count ~= pruned.class_count then
    errors.refuse("heatmaps", "pruned: expected images [%s] and %d classes as the model has, got [%s] and %d", shape,
      model.class_count, other, pruned.class_count)
  end
end

-- Raises at the caller of heatmaps unless these are samples of the split.
local function check_indices(indices, split)
  if #indices == 0 then errors.refuse("heatmaps", "indices: expected at least one, got none") end
  local rule = { type = "integer", min = 1, max = split:count(), required = true }
  for i, index in ipairs(indices) do options.value("heatmaps", ("indices[%d]"):format(i), index, rule) end
end

local function wants_label(target)
  return target == "label" or type(target) == "table" and (target.of == "label" or target.against == "label")
end

-- Of each class or finding, and of those without any, the indices; where some finding of the label is to be explained,
-- not of those without.
local function groups_of(split, opts)
  local groups = {}
  if not split.multi_label then
    for index, label in ipairs(split.labels) do
      groups[label] = groups[label] or {}
      table.insert(groups[label], index)
    end
    return groups
  end
  for _, group in ipairs(label_groups.list(split)) do
    if group.label > 0 or not opts.labelled then groups[group.label] = group.indices end
  end
  return groups
end

-- The first per_class samples of each class that can be read; where none of any class can, one whose error says why.
local function first_of_each(split, opts)
  local of_class, chosen, taken = groups_of(split, opts), {}, {}
  for _, label in ipairs(options.sorted_keys(of_class)) do
    for _, index in ipairs(readable.first(split, of_class[label], opts.per_class, opts.batch)) do
      if not taken[index] then chosen[#chosen + 1], taken[index] = index, true end
    end
  end
  table.sort(chosen)
  return #chosen > 0 and chosen or { 1 }
end

-- What of a picture or plane [(C x) H x W] is no border; all of it without a box.
local function crop(picture, box)
  if not box then return picture end
  local shape = picture:shape()
  local cropped = core.image_crop(#shape == 2 and picture:reshape(1, shape[1], shape[2]) or picture, box.left, box.top,
    box.width, box.height)
  return #shape == 2 and cropped:reshape(box.height, box.width) or cropped
end

-- Relevance of all samples by a method: list of planes [H x W] without borders, and the attribution. Or nil, message,
-- where attribute refuses.
local function explain(model, x, method, opts)
  local good, result = errors.try(attribute, method.model or model, x, method.options)
  if not good then return nil, result end
  local planes = {}
  for i = 1, x:size(1) do
    planes[i] = crop(assert(rendering.flatten(result.input[i], opts.smooth)), opts.boxes[i])
  end
  return planes, result
end

-- All numbers of several planes.
local function join(planes)
  local total, at = 0, 0
  for _, plane in ipairs(planes) do total = total + plane:numel() end
  local all = core.zeros(total)
  for _, plane in ipairs(planes) do
    all:view(at + 1, at + plane:numel()):copy(plane:reshape(plane:numel()))
    at = at + plane:numel()
  end
  return all
end

-- The pruned model's target: the classes that were explained of the dense one.
local function follow(method, explained)
  local result = explained[method.dense]
  if result and not tensors.is(method.options.target) then
    method.options.target = result.against and { of = result.target, against = result.against } or result.target
  end
  return result ~= nil
end

-- Explains all samples by all methods. Of "all", those that are not defined for the model are left out, and named.
local function explain_all(model, x, methods, opts)
  local drawn = { methods = {}, planes = {}, results = {} }
  local count, explained = x:size(1), {}
  local line <close> = progress.new { terminal = core.is_terminal(), log = true, total = #methods * count,
    label = "heatmaps", unit = "explanations", clock = core.clock }
  for _, method in ipairs(methods) do
    line:update(line.done, method.label)
    local planes, result
    if not method.dense or follow(method, explained) then planes, result = explain(model, x, method, opts) end
    if planes then
      explained[method] = result
      local m = #drawn.methods + 1
      drawn.methods[m], drawn.planes[m], drawn.results[m] = method, planes, result
    elseif opts.methods ~= "all" then
      errors.raise("%s: %s", method.label, result)
    elseif result then
      line:clear()
      errors.warn("heatmaps: left out %s: %s", method.label, result)
    end
    line:step(count)
  end
  if #drawn.methods == 0 then errors.raise("none of the methods can explain this model") end
  return drawn
end

-- The magnitude that gets full colour, for each method and sample.
local function find_limits(methods, planes, opts)
  local limits = {}
  local function limit(tensor, method)
    local found, message = rendering.limit(tensor, opts.percentile)
    return opts.range and found and opts.range or found or errors.raise("%s: %s", method.label, message)
  end
  for m, method in ipairs(methods) do
    local shared = opts.normalise_by == "method" and limit(join(planes[m]), method)
    limits[m] = {}
    for i, plane in ipairs(planes[m]) do limits[m][i] = shared or limit(plane, method) end
  end
  if opts.normalise_by == "row" then
    for i in ipairs(planes[1]) do
      local row = {}
      for m in ipairs(methods) do row[m] = planes[m][i] end
      local shared = limit(join(row), methods[1])
      for m in ipairs(methods) do limits[m][i] = shared end
    end
  end
  return limits
end

local function save(opts, name, picture)
  local path = files.join(opts.dir, name .. ".png")
  core.image_save(path, picture)
  return path
end

-- Gives samples names that tell them apart: folders keep files of one name.
local function name_samples(split, samples)
  local paths = {}
  for i, sample in ipairs(samples) do paths[i] = tostring(split.names[sample.index]) end
  for i, name in ipairs(short_names(paths)) do samples[i].name = name end
end

local function number_text(value) return ("%.3g"):format(value):gsub("e([-+])0+", "e%1"):gsub("-", "−") end

-- 1st, 2nd, 3rd, 95th, 99.5th.
local function ordinal(value)
  local text = ("%g"):format(value)
  local endings = { ["1"] = "st", ["2"] = "nd", ["3"] = "rd" }
  return text .. (not text:find("1%d$") and not text:find("%.") and endings[text:sub(-1)] or "th")
end

-- What the colours mean, in a line.
local function caption(opts)
  local findings = opts.head == "multi_label"
  local what = opts.target == "prediction" and "Relevance for the " .. (findings and "likeliest finding"
    or "predicted class") or opts.target == "label" and "Relevance for the true " .. (findings and "finding" or "class")
    or "Relevance for what is explained"
  if opts.range then return what end
  return ("%s; full colour at the %s of each %s"):format(what, opts.percentile == 100 and "largest magnitude"
    or ordinal(opts.percentile) .. " percentile", opts.normalise_by)
end

-- Colour bars, one for each map in use; where there are several, each says whose it is.
local function draw_bars(methods, opts, stem)
  local bars, of = {}, {}
  for _, method in ipairs(methods) do
    local bar = of[method.colormap]
    if bar then
      bar.title = bar.title .. ", " .. method.label
    else
      local shade = { colormap = method.colormap, gamma = opts.gamma, alpha = opts.alpha, image = true }
      local picture, signed = rendering.bar(shade, 600, 20)
      local most = opts.range and number_text(opts.range)
      bar = { path = save(opts, ("%s-bar-%d"):format(stem, #bars + 1), picture), title = method.label,
        low = signed and (most and "−" .. most or "− against") or "0", middle = signed and "0" or nil,
        high = most and (signed and "+" .. most or most) or signed and "for +" or "max", caption = caption(opts) }
      of[method.colormap], bars[#bars + 1] = bar, bar
    end
  end
  if #bars == 1 then bars[1].title = nil end
  return bars
end

-- What to say of a panel that shows nothing; nil of others.
local function note_of(method, plane)
  if plane:abs():max() > 0 then return nil end
  return method.name == "grad_cam" and "no positive evidence" or "zero everywhere"
end

-- The pictures of one sample.
local function draw_sample(split, sample, drawn, opts)
  local image = split:image(sample.index)
  local scale = math.max(1, opts.width // image:size(3))
  image = crop(image, opts.boxes[sample.row])
  local big = core.image_resize(image, image:size(2) * scale, image:size(3) * scale):clamp(0, 1)
  local stem = ("%s-%d"):format(drawn.stem, sample.index)
  local images, title, lines = { { label = "Image", path = save(opts, stem .. "-image", big) } },
    heatmap_titles.make(split, sample, drawn.results[#drawn.results], sample.row)
  for m, method in ipairs(drawn.methods) do
    local plane, limit = drawn.planes[m][sample.row], drawn.limits[m][sample.row]
    local note = note_of(method, plane)
    local picture, message = rendering.draw(plane, limit, { colormap = method.colormap, gamma = opts.gamma,
      alpha = opts.alpha, interpolate = opts.interpolate, image = image, scale = scale })
    if not picture then errors.raise("%s: %s", method.label, message) end
    if note then lines[#lines + 1] = ("%s: %s"):format(method.label, note) end
    images[m + 1] = { label = method.label, method = method.name, limit = limit, note = note,
      path = save(opts, ("%s-%s"):format(stem, method.slug), picture) }
  end
  return { title = title, lines = lines, images = images, bars = drawn.bars, index = sample.index }
end

-- The samples that can be decoded: x, and a list of {index=, row=, label=, predicted=, probability=, …}; with a pruned
-- model also what that says, in `pruned`.
local function read_samples(model, split, indices, opts)
  local good, x, labels, kept = errors.try(split.batch, split, indices)
  if not good then errors.raise(x) end
  local list = heatmap_titles.predict(model, x, opts.batch)
  local pruned = opts.pruned and heatmap_titles.predict(opts.pruned, x, opts.batch)
  local truth = labels and labels:totable() or {}
  for row, sample in ipairs(list) do
    sample.index, sample.row, sample.label = kept[row], row, truth[row]
    sample.pruned = pruned and pruned[row]
  end
  return x, list
end

-- Of the findings that an image has the likeliest; nil where it has none.
local function likeliest_of(row, probabilities)
  local best
  for class, value in ipairs(row) do
    if value > 0 and (not best or probabilities[class] > probabilities[best]) then best = class end
  end
  return best
end

-- Puts labels where a target says so, and raises where a target is none: that is no method's fault.
local function settle_targets(model, methods, samples)
  local labels, unlabelled = {}, nil
  for i, sample in ipairs(samples) do
    labels[i] = sample.label
    if type(sample.label) == "table" then
      labels[i] = likeliest_of(sample.label, sample.probabilities)
      unlabelled = unlabelled or not labels[i] and sample.index
    end
  end
  for _, method in ipairs(methods) do
    if unlabelled and wants_label(method.options.target) then
      errors.refuse("heatmaps", "target: expected samples with a finding to explain by \"label\", got none for "
        .. "sample %d", unlabelled)
    end
    local target = targets.with_labels(method.options.target, labels)
    if type(target) == "string" and target ~= "prediction" then
      errors.refuse("heatmaps", 'target: expected a class, a list of classes, "prediction", "label" or a contrast, '
        .. "got %s%s", options.describe(target), options.suggest(target, { "prediction", "label" }))
    end
    targets.for_model("heatmaps", target, #samples, model)
    method.options.target = target
  end
end

-- What the list of samples prints as: where each picture is.
local function cells_of(list)
  local lines = { { "sample", "picture", "file" } }
  for _, sample in ipairs(list) do
    for _, image in ipairs(sample.images) do lines[#lines + 1] = { sample.title, image.label, image.path } end
  end
  if list.sheet then lines[#lines + 1] = { "all", "sheet", list.sheet.png } end
  return lines
end

local function make(model, split, methods, opts)
  local good, message = output.prepare_folder(opts.dir)
  if not good then errors.raise("dir: %s", message) end
  opts.head = heads.kind(model)
  for _, method in ipairs(methods) do opts.labelled = opts.labelled or wants_label(method.options.target) end
  local x, samples = read_samples(model, split, opts.indices or first_of_each(split, opts), opts)
  settle_targets(model, methods, samples)
  opts.boxes = {}
  for i, sample in ipairs(samples) do opts.boxes[i] = split.content and split:content(sample.index) end
  local drawn = explain_all(model, x, methods, opts)
  drawn.stem = gnuplot.slug(opts.name, {})
  drawn.limits = find_limits(drawn.methods, drawn.planes, opts)
  drawn.bars = draw_bars(drawn.methods, opts, drawn.stem)
  local list = {}
  name_samples(split, samples)
  for i, sample in ipairs(samples) do list[i] = draw_sample(split, sample, drawn, opts) end
  if opts.sheet then
    local svg, png, pdf = report.heatmaps(list, files.join(opts.dir, drawn.stem .. "-sheet"),
      { width = opts.sheet_width, dpi = opts.dpi, gnuplot = opts.gnuplot })
    list.sheet = { svg = svg, png = png, pdf = pdf }
  end
  list.skipped = skipped.count(split)
  return text_table.listing(list, function(self) return cells_of(self), 3 end)
end

--- Explains samples of a split by several methods and draws them: a picture per sample and method, and all together as
-- one sheet with titles and a colour bar (NAME-sheet.png, .svg, .pdf). What it gives is also what
-- `sc.report(results, dir, {heatmaps = ...})` takes. Of images that the split pads (`resize = "pad"`), pictures and
-- relevance are shown without the borders.
-- @tparam Model model
-- @tparam Split split
-- @tparam table opts
--
-- * `dir`: folder for the files, made if missing; `name` ("sample"): how their names begin
-- * `methods` ({"lrp", "dlb", "ig"}): names, or tables `{name =, label =, colormap =, …}` whose other keys are options
--   of `sc.attribute`, so that a method can stand there several times; "all" for every method that is defined for the
--   model
-- * `target` ("prediction"; "label", which may also stand in a contrast; else as `sc.attribute` has it); `steps` of
--   methods that have steps; `batch` (16): samples at a time
-- * `pruned`, a model that came of this one: every method explains it, too, for the same class, and the two stand side
--   by side
-- * `indices` of samples, of which those that cannot be read are left out; else the first `per_class` (1) of each class
--   that can be read; where images may have several findings, of each finding, and of images without any ("label" is
--   then the likeliest of the findings that an image has, and leaves those without out)
-- * `colormap`, `percentile`, `range`, `gamma`, `alpha`, `smooth`, `interpolate`: see `sc.heatmap`; `normalise_by`
--   ("panel", "method", "row"): what shares the magnitude of full colour
-- * `width` (224): pixels of a picture, about; `sheet_width` (180 mm) and `dpi` (300, at least) of the sheet; `sheet` =
--   false: no sheet; `gnuplot` (the program that draws it)
--
-- @treturn {table,...} each `title`, `lines` (the same in lines), `index`, `images` (list of `label`, `path`, and of
-- explanations `method`, `limit`, the magnitude of full colour, and `note`, what `lines` say of one that is empty) and
-- `bars` (colour bars); `sheet`: paths `png`, `svg`, `pdf`; `skipped`: how many images of the split could not be read,
-- as far as is known
-- @usage
-- sc.heatmaps(model, data.test, { dir = "heatmaps" })
-- local both = sc.heatmaps(model, data.test, { dir = "both", methods = { "lrp" }, pruned = sc.compact(pruned) })
-- sc.report(results, "report", { heatmaps = both })
return function(model, split, opts)
  model_class.check("heatmaps", model)
  local checked = options.check("heatmaps", opts, rules)
  predict.check("heatmaps", model, split)
  if not (split.image and split.batch and split.names and split.labels and split.classes) then
    errors.refuse("heatmaps", "split: expected one with image, batch, names, labels and classes, as data sets have")
  end
  if checked.indices then check_indices(checked.indices, split) end
  check_pruned(model, checked.pruned)
  local methods = with_pruned(read_methods(checked), checked.pruned)
  for _, method in ipairs(methods) do
    local good, message = rendering.check_colormap(method.colormap)
    if not good then errors.refuse("heatmaps", message) end
  end
  if checked.sheet then
    local there, message = gnuplot.check(checked.gnuplot)
    if not there then errors.refuse("heatmaps", message) end
  end
  local sheets = errors.within("heatmaps", function() return make(model, split, methods, checked) end)
  model:release()
  if checked.pruned then checked.pruned:release() end
  return sheets
end
