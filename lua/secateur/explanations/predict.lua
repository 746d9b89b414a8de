--- What a model says of images, whoever they are of.
-- @module secateur.explanations.predict
local errors = require "secateur.util.errors"
local evaluation = require "secateur.evaluation.predict"
local files = require "secateur.util.files"
local heads = require "secateur.models.heads"
local heatmaps = require "secateur.explanations.heatmaps"
local method_registry = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local output = require "secateur.util.output"
local Predictions = require "secateur.explanations.predictions"
local report = require "secateur.report"
local targets = require "secateur.models.targets"
local tensors = require "secateur.util.tensors"
local unlabelled = require "secateur.data.unlabelled"

local NAMED = 3 -- images that cannot be read, in a warning
local MOST_ON_SHEET = 20

local function is_threshold(value)
  for _, number in ipairs(type(value) == "table" and value or { value }) do
    if not math.type(number) or number < 0 or number > 1 then return false, "a number in [0, 1], or one per finding" end
  end
  return true
end

local rules = {
  heatmaps = { type = { "string", "list" } },
  dir = { type = "string", default = "heatmaps", check = function(dir) return dir ~= "", "a folder's path" end },
  batch = { type = "integer", min = 1, default = 32 },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  top = { type = "integer", min = 1, default = 3 },
  threshold = { type = { "number", "list" }, check = is_threshold },
  quiet = { type = "boolean", default = false },
}
local preparation_rules = unlabelled.rules()
preparation_rules.size, preparation_rules.channels = nil, nil -- the model's own
for key, rule in pairs(preparation_rules) do rules[key] = { type = rule.type, one_of = rule.one_of, check = rule.check,
  min = rule.min, max = rule.max } end

local function say(job, format, ...)
  if not job.opts.quiet then errors.warn("predict: " .. format, ...) end
end

-- ---- what the images are ----

-- Raises where options of preparation are given for images that are prepared already.
local function refuse_preparation(given, what)
  for _, key in ipairs(options.sorted_keys(preparation_rules)) do
    if given[key] ~= nil then errors.refuse("predict", "%s: expected none with %s", key, what) end
  end
end

-- How files become tensors: by the options, else as the model knows it, else ImageNet's way, which is said.
local function preparation_of(job)
  local shape, known = job.model.input_shape, job.model:preparation()
  if #shape ~= 3 or shape[2] ~= shape[3] then
    errors.refuse("predict", "model: expected one that takes square images, got one of [%s]; give a Tensor of images",
      table.concat(shape, " x "))
  end
  local made, said = { size = shape[2], channels = shape[1] }, not known.mean and job.given.mean == nil
  for key in pairs(preparation_rules) do
    made[key] = known[key]
    if job.given[key] ~= nil then made[key] = job.opts[key] end
  end
  if said then
    say(job, "the model does not say how its images were prepared: taken as %d x %d x %d with ImageNet's mean and std "
      .. "(options mean, std, resize, crop, interpolation, range, window)", shape[1], shape[2], shape[3])
  end
  return made
end

-- Paths of a list, folders among them with all that is below; what is no file goes to `failures` by path.
local function expand(list, failures)
  local paths = {}
  for i, path in ipairs(list) do
    if type(path) ~= "string" or path == "" then
      errors.refuse("predict", "images: expected paths, got %s at %d", options.describe(path), i)
    end
    if files.is_dir(path) then
      local found, others = unlabelled.list(path)
      table.move(found, 1, #found, #paths + 1, paths)
      for _, other in ipairs(others) do
        paths[#paths + 1], failures[other.path] = other.path, other.message
      end
    else
      paths[#paths + 1] = path
    end
  end
  if #paths == 0 then
    errors.refuse("predict", "images: expected at least one, found none%s", list[1] and " in " .. list[1] or "")
  end
  return paths
end

local function open_files(job, list)
  local failures = {}
  local paths = expand(list, failures)
  local split, bad = errors.within("predict", unlabelled.files, "predict", paths,
    { classes = job.classes, multi_label = job.kind == "multi_label" }, preparation_of(job))
  job.rows, job.split = {}, split
  for i, path in ipairs(paths) do
    job.rows[i] = { file = path, error = failures[path] or bad[i] or "could not be decoded" }
  end
end

local function open_tensor(job, images)
  refuse_preparation(job.given, "a Tensor, which is prepared already")
  if #images:shape() == #job.model.input_shape then
    local shape = images:shape()
    images = images:reshape(1, table.unpack(shape))
  end
  job.model:check_batch("predict", images)
  local known = job.model:preparation()
  job.split = unlabelled.tensor(images,
    { classes = job.classes, multi_label = job.kind == "multi_label" }, known.mean and known.std and known or nil)
  job.rows = {}
  for i, name in ipairs(job.split.names) do job.rows[i] = { file = name } end
end

-- Of a split's findings the names of those that are present, and of those that nobody knows; of a single label its
-- class.
local function label_of(split, index)
  local label = split.labels and split.labels[index]
  if type(label) ~= "table" then return label and (split.classes and split.classes[label] or label) end
  local present, unknown = {}, {}
  for finding, value in ipairs(label) do
    if value ~= 0 then table.insert(value > 0 and present or unknown, split.classes[finding]) end
  end
  return present, #unknown > 0 and unknown or nil
end

local function open_split(job, split)
  refuse_preparation(job.given, "a split, which has its own")
  evaluation.check("predict", job.model, split, "images")
  job.split, job.rows = split, {}
  for i = 1, split:count() do
    local label, unknown = label_of(split, i)
    job.rows[i] = { file = split.names and split.names[i] or "image " .. i, label = label, unknown = unknown, index = i,
      error = "could not be decoded" }
  end
end

local function open(job, images)
  if type(images) == "string" then
    open_files(job, { images })
  elseif tensors.is(images) then
    open_tensor(job, images)
  elseif type(images) == "table" and type(images.batches) == "function" then
    open_split(job, images)
  elseif type(images) == "table" and (next(images) == nil or type(images[1]) == "string") then
    open_files(job, images)
  else
    errors.refuse("predict", "images: expected a path, a list of paths, a folder, a split or a Tensor, got %s%s",
      options.describe(images), evaluation.dataset_hint(images))
  end
end

-- ---- what the model says ----

local function ranking(probabilities)
  local order = {}
  for class = 1, #probabilities do order[class] = class end
  table.sort(order, function(a, b)
    if probabilities[a] ~= probabilities[b] then return probabilities[a] > probabilities[b] end
    return a < b
  end)
  return order
end

-- Fills in what a row says, of the probabilities of all classes.
local function decide(job, row, probabilities)
  local names, order = job.names, ranking(probabilities)
  row.error, row.probabilities, row.top = nil, probabilities, {}
  for i = 1, math.min(job.opts.top, #order) do
    row.top[i] = { class = names[order[i]], probability = probabilities[order[i]] }
  end
  if job.kind == "multi_label" then
    row.findings = {}
    for finding, probability in ipairs(probabilities) do
      if probability >= job.threshold[finding] then row.findings[#row.findings + 1] = names[finding] end
    end
    row.probability = probabilities[order[1]]
  else
    local class = order[1]
    if job.kind == "binary" then class = probabilities[2] >= job.threshold[1] and 2 or 1 end
    row.class, row.probability = names[class], probabilities[class]
  end
end

-- The row of a sample of the split.
local function row_of(job, index)
  return job.rows[job.split.positions and job.split.positions[index] or index]
end

local function run(job)
  local split, opts, read = job.split, job.opts, {}
  if split:count() == 0 then return read end
  local plan, next_index = job.model:execution_plan(math.min(opts.batch, split:count())), 1
  for x, _, kept in split:batches { batch = opts.batch, workers = opts.workers } do
    local logits = plan:forward(x)
    targets.check_finite("predict", logits)
    for i, probabilities in ipairs(heads.probabilities(job.kind, logits):totable()) do
      local index = kept and kept[i] or next_index
      next_index = index + 1
      read[#read + 1] = index
      decide(job, row_of(job, index), probabilities)
    end
  end
  return read
end

-- Says what could not be read; if that is all of it, there is nothing to go on with.
local function count_failures(job)
  local known, failed = job.split.shared and job.split.shared.known or {}, {}
  for i, row in ipairs(job.rows) do
    if row.error then
      local path = not job.split.positions and job.split.paths and job.split.paths[i] or row.file
      row.error = known[path] or row.error
      failed[#failed + 1] = ("%s: %s"):format(row.file, row.error)
    end
  end
  if #failed == #job.rows then
    errors.raise(#failed == 1 and failed[1] or ("none of the %d images can be read, such as %s"):format(#failed,
      failed[1]))
  elseif #failed > 0 then
    local lines = { ("predict: %d of %d files cannot be read as images:"):format(#failed, #job.rows) }
    for i = 1, math.min(#failed, NAMED) do lines[i + 1] = "  " .. failed[i] end
    if #failed > NAMED then lines[#lines + 1] = ("  and %d more"):format(#failed - NAMED) end
    if not job.opts.quiet then errors.warn_lines(lines) end
  end
  return #failed
end

-- ---- heatmaps ----

local function draw(job, read)
  local opts, sheet = job.opts, nil
  local methods = type(opts.heatmaps) == "string" and opts.heatmaps ~= "all" and { opts.heatmaps } or opts.heatmaps
  local on_sheet = #read <= MOST_ON_SHEET
  if not on_sheet then
    say(job, "no sheet of heatmaps, of %d images (at most %d): each has its own files in %s", #read, MOST_ON_SHEET,
      opts.dir)
  end
  for first = 1, #read, MOST_ON_SHEET do
    local made = heatmaps(job.model, job.split, { dir = opts.dir, methods = methods, batch = opts.batch,
      name = "prediction", sheet = on_sheet,
      indices = table.move(read, first, math.min(first + MOST_ON_SHEET - 1, #read), 1, {}) })
    for _, sample in ipairs(made) do
      local row = row_of(job, sample.index)
      row.image, row.heatmaps = sample.images[1].path, table.move(sample.images, 2, #sample.images, 1, {})
    end
    sheet = made.sheet
  end
  return sheet
end

-- Raises, before any image is read, where heatmaps could not be drawn.
local function check_heatmaps(opts)
  if not opts.heatmaps then return end
  local names = type(opts.heatmaps) == "string" and opts.heatmaps ~= "all" and { opts.heatmaps } or opts.heatmaps
  for i, entry in ipairs(type(names) == "table" and names or {}) do
    local name = type(entry) == "table" and entry.name or entry
    if not method_registry.get_explaining(name) then
      errors.refuse("predict", "heatmaps: expected methods (%s), \"all\" or tables with a name, got %s at %d",
        table.concat(method_registry.explaining, ", "), options.describe(name), i)
    end
  end
  report.check()
  local good, message = output.prepare_folder(opts.dir)
  if not good then errors.refuse("predict", "dir: " .. message) end
end

-- ---- the whole ----

local function names_of(model)
  local classes, names = {}, {}
  if model.classes and #model.classes ~= model.class_count then
    errors.refuse("predict", "model: expected %d names in info.classes, as many as it has classes, got %d",
      model.class_count, #model.classes)
  end
  for class = 1, model.class_count do
    classes[class] = model.classes and tostring(model.classes[class]) or tostring(class)
    names[class] = model.classes and classes[class] or class
  end
  return classes, names
end

local function check_threshold(job)
  local given, count = job.opts.threshold, job.kind == "multi_label" and job.model.class_count or 1
  if given ~= nil and job.kind == "softmax" then
    errors.refuse("predict", "threshold: expected none, the model decides for the likeliest class (head \"softmax\")")
  elseif type(given) == "table" and #given ~= count then
    errors.refuse("predict", "threshold: expected a number, or a list of %d, got one of %d", count, #given)
  end
  local list = {}
  for finding = 1, count do list[finding] = type(given) == "table" and given[finding] or given or 0.5 end
  return list
end

--- Says of each image which class it is of, and how sure the model is; on demand with heatmaps.
--
-- Files are prepared as the images were that the model was trained on (`model:preparation()`); where the model does not
-- know, in ImageNet's way, which is said on stderr. Images that cannot be read are rows with `error`, and are named and
-- counted on stderr; that there is none which can is an error.
-- @tparam Model model
-- @param images a path; a list of paths; a folder, of which all files below count; a split, such as `data.test`; or a
-- Tensor [N x C x H x W] or [C x H x W] that is prepared as the model takes it
-- @tparam[opt] table opts
--
-- * `heatmaps`: a method of `sc.heatmaps`, a list of these (its `methods`), or "all"; `dir` ("heatmaps"): folder of the
--   pictures, made if missing
-- * `top` (3): how many classes a row's `top` lists, and the printed table shows
-- * `threshold` (0.5; of a sigmoid head): the probability from which on a finding counts as present; one, or a list of
--   one per finding
-- * `mean`, `std`, `resize`, `crop`, `interpolation`, `range`, `window`, `max_pixels`, `max_bytes`: see `sc.data`;
--   instead of what the model knows
-- * `batch` (32), `workers` (1), `quiet` (false)
--
-- @treturn Predictions a list of rows `{file =, class =, probability =, probabilities = {…}, top = {{class =,
-- probability =}, …}}`: class by its name, or number where the model has no names; of a multi-label model `findings`
-- (list of those from the threshold on) instead of `class`, and `probability` is the largest; of a split's images also
-- `label` and `index`, and `unknown`, a list of the findings that the label does not say; with heatmaps `image` and
-- `heatmaps` (list of `{label =, method =, path =, …}`); or `{file =, error =}`. Printed, it is a table, with a "?"
-- behind what is unknown; `:csv(path)` writes it; `sheet` has the paths of the sheet of heatmaps.
-- @raise when no image can be read, or model and images do not fit each other
-- @usage
-- print(sc.predict(model, "new/"))
-- sc.predict(model, { "a.png", "b.png" }, { heatmaps = "lrp", dir = "why" }):csv("predictions.csv")
return function(model, images, opts)
  model_class.check("predict", model)
  local job = { model = model, opts = options.check("predict", opts, rules), given = opts or {},
    kind = heads.kind(model) }
  job.classes, job.names = names_of(model)
  job.threshold = check_threshold(job)
  check_heatmaps(job.opts)
  local result = errors.within("predict", function()
    open(job, images)
    local read = run(job)
    local failed = count_failures(job)
    local sheet = job.opts.heatmaps and draw(job, read) or nil
    return Predictions.new(job.rows, { classes = job.classes, kind = job.kind, failed = failed, sheet = sheet })
  end)
  model:release()
  return result
end
