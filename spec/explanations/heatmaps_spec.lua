-- sc.heatmaps on a small model and phantoms: files, titles, scales, errors.
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local needs = require "support.needs"
local pictures = require "support.pictures"
local report = require "secateur.report"
local sc = require "secateur"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

describe("heatmaps", function()
  local folder, data, model

  setup(function()
    data = sc.data.phantom { size = 16, count = 60, seed = 1 }
    model = sc.models.vgg { config = { 4, "M", 8, "M" }, hidden = { 8 }, pool = 2, size = 16,
      channels = data.channels, classes = #data.classes, seed = 3 }
  end)
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function draw(opts)
    local all = { dir = folder, width = 32, dpi = 72 }
    for key, value in pairs(opts or {}) do all[key] = value end
    return sc.heatmaps(model, data.test, all)
  end

  it("draws a picture per sample and method, and one sheet", function()
    needs.gnuplot(pending)
    local made = draw { methods = { "lrp", "ig" }, steps = 2 }
    assert.equal(#data.classes, #made)
    for _, sample in ipairs(made) do
      assert.same({ "Image", "LRP", "Integrated Gradients" }, { sample.images[1].label, sample.images[2].label,
        sample.images[3].label })
      for _, image in ipairs(sample.images) do
        assert.same({ 3, 32, 32 }, core.image_load(image.path, { channels = 3 }):shape())
      end
      local index, probabilities = sample.index, core.softmax(model:forward(data.test:batch { sample.index }))
      local class = probabilities:argmax(2):totable()[1]
      assert.same({ data.test.names[index], "true: " .. data.classes[data.test.labels[index]],
        ("pred.: %s (%.2f)"):format(data.classes[class], probabilities:get(1, class)) }, sample.lines)
    end
    assert.matches("^sample +picture +file\n.*LRP +" .. folder:gsub("%p", "%%%0"), tostring(made))
    assert.same({ "png", "sample-sheet.png" }, { files.extension(made.sheet.png), files.base(made.sheet.png) })
    for _, path in pairs(made.sheet) do assert.is_true(files.is_file(path)) end
    assert.truthy(files.read_all(made.sheet.svg):find("Relevance for the predicted class; full colour at the 99.5th "
      .. "percentile of each panel", 1, true))
  end)

  it("tells files of one name apart by their folders", function()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 8 do pictures.save(folder, ("set/%s/image(%d).png"):format(class, i), i / 9) end
    end
    local set = sc.data.folder(folder .. "/set", { size = 16, quiet = true, on_duplicate = "warn" })
    local net = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, size = 16, classes = 2, seed = 3 }
    local made = sc.heatmaps(net, set.train, { dir = folder, methods = { "gradient" }, per_class = 4, sheet = false })
    local seen = {}
    for _, sample in ipairs(made) do
      assert.is_nil(seen[sample.lines[1]])
      seen[sample.lines[1]] = true
      assert.matches("image%(%d%)%.png$", sample.lines[1])
    end
  end)

  it("shows padded images and their relevance without the borders", function()
    for _, class in ipairs { "a", "b" } do
      assert(files.mkdir_p(files.join(folder, "set/" .. class)))
      for i = 1, 8 do
        core.image_save(("%s/set/%s/%d.png"):format(folder, class, i),
          core.rand(9, 27, { seed = 100 * class:byte() + i }))
      end
    end
    local function open(resize)
      return sc.data.folder(folder .. "/set", { size = 16, channels = 1, resize = resize, mean = 0.3, std = 1 }).test
    end
    local padded = open "pad"
    local net = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, size = 16, classes = 2, channels = 1,
      seed = 3 }
    local box = padded:content(1)
    assert.same({ left = 0, top = 6, width = 16, height = 5 }, box)
    assert.is_nil(open "squash":content(1))
    for _, normalise_by in ipairs { "panel", "method", "row" } do
      local made = sc.heatmaps(net, padded, { dir = folder, methods = { "gradient", "lrp" }, indices = { 1, 2 },
        width = 32, sheet = false, normalise_by = normalise_by })
      local limits = {}
      for i, sample in ipairs(made) do
        for m, image in ipairs(sample.images) do
          assert.same({ 3, 10, 32 }, core.image_load(image.path, { channels = 3 }):shape())
          limits[m] = limits[m] or {}
          limits[m][i] = image.limit
        end
      end
      local cropped = {}
      for m, method in ipairs { "gradient", "lrp" } do
        cropped[m] = {}
        for i = 1, 2 do
          local x = padded:batch { i }
          local plane = sc.attribute(net, x, { method = method, layers = {}, target = "prediction" }).input[1]
          cropped[m][i] = core.image_crop(plane, 0, 6, 16, 5)
        end
      end
      local function percentile(list)
        local all = core.zeros(#list, 5, 16)
        for i, plane in ipairs(list) do all[i]:copy(plane:reshape(5, 16)) end
        return (core.magnitude_percentile(all, 99.5))
      end
      for m = 1, 2 do
        for i = 1, 2 do
          local wanted = normalise_by == "panel" and percentile { cropped[m][i] }
            or normalise_by == "method" and percentile(cropped[m]) or percentile { cropped[1][i], cropped[2][i] }
          assert.near(wanted, limits[m + 1][i], 1e-6 * wanted)
        end
      end
    end
  end)

  it("draws what heatmap draws", function()
    local made = draw { methods = { "lrp" }, indices = { 5 }, colormap = "purple_green", gamma = 1, percentile = 95,
      alpha = 0.5, width = 16, sheet = false }
    local x = data.test:batch { 5 }
    local expected = sc.heatmap(sc.attribute(model, x, { method = "lrp" }).input[1], { image = data.test:image(5),
      colormap = "purple_green", gamma = 1, percentile = 95, alpha = 0.5 })
    assert.is_true(core.image_load(made[1].images[2].path):allclose(expected, 0, 0.5 / 255 + 1e-6))
    assert.is_nil(made.sheet)
  end)

  it("takes a method several times, with options of its own", function()
    needs.gnuplot(pending)
    local made = draw { methods = { "lrp", { name = "lrp", label = "LRP ε", composite = { { match = "linear",
      rule = require("secateur.attribution.rules").epsilon() }, { match = "conv",
      rule = require("secateur.attribution.rules").epsilon() }, { match = "max_pool",
      rule = require("secateur.attribution.rules").own() }, { match = "avg_pool",
      rule = require("secateur.attribution.rules").epsilon() }, { match = "activation",
      rule = require("secateur.attribution.rules").pass() }, { match = "routing",
      rule = require("secateur.attribution.rules").gradient() } } }, { name = "dlb", colormap = "heat" } },
      per_class = 2 }
    assert.equal(2 * #data.classes, #made)
    local images = made[1].images
    assert.equal("LRP ε", images[3].label)
    assert.not_equal(images[2].path, images[3].path)
    assert.not_equal(files.read_all(images[2].path), files.read_all(images[3].path))
    assert.equal(2, #made[1].bars)
    assert.same({ "LRP, LRP ε", "DL-Backtrace" }, { made[1].bars[1].title, made[1].bars[2].title })
    assert.same({ "0", "max" }, { made[1].bars[2].low, made[1].bars[2].high })
  end)

  it("scales by panel, method or row, or to a range", function()
    local function limits(opts)
      opts.methods, opts.sheet = { "lrp", "dlb" }, false
      local made, list = draw(opts), {}
      for i, sample in ipairs(made) do list[i] = { sample.images[2].limit, sample.images[3].limit } end
      return list
    end
    local panel, method, row = limits { percentile = 100 }, limits { percentile = 100, normalise_by = "method" },
      limits { percentile = 100, normalise_by = "row" }
    local most = { 0, 0 }
    for _, each in ipairs(panel) do
      for m = 1, 2 do most[m] = math.max(most[m], each[m]) end
    end
    for i, each in ipairs(panel) do
      assert.same(most, method[i])
      assert.same({ math.max(each[1], each[2]), math.max(each[1], each[2]) }, row[i])
    end
    assert.same({ 0.5, 0.5 }, limits({ range = 0.5 })[1])
    local bar = draw({ methods = { "lrp" }, range = 0.0025, sheet = false })[1].bars[1]
    assert.same({ "−0.0025", "0", "+0.0025", "Relevance for the predicted class" }, { bar.low, bar.middle, bar.high,
      bar.caption })
  end)

  it("names what is explained where it is not the prediction", function()
    local made = draw { methods = { "lrp" }, target = 2, sheet = false }
    local found = 0
    for _, sample in ipairs(made) do
      local other = not sample.lines[3]:find(data.classes[2], 1, true)
      assert.equal(other and "expl.: " .. data.classes[2] or nil, sample.lines[4])
      found = found + (other and 1 or 0)
    end
    assert.is_true(found > 0)
    assert.equal("Relevance for what is explained; full colour at the 99.5th percentile of each panel",
      made[1].bars[1].caption)
  end)

  it("explains the label, by itself or against another class", function()
    local x, labels = data.test:batch { 1, 2, 5 }
    for _, case in ipairs { { "label", labels }, { { of = "label", against = "runner_up" },
      { of = labels, against = "runner_up" } } } do
      local made = draw { methods = { "gradient" }, target = case[1], indices = { 1, 2, 5 }, percentile = 100,
        sheet = false }
      local relevance = sc.attribute(model, x, { method = "gradient", target = case[2] }).input
      for i, sample in ipairs(made) do
        assert.near(relevance[i]:sum(1):abs():max(), sample.images[2].limit, 1e-6)
      end
    end
    assert.equal("Relevance for the true class; full colour at the 99.5th percentile of each panel",
      draw({ methods = { "lrp" }, target = "label", sheet = false })[1].bars[1].caption)
    local own = draw { methods = { { name = "gradient", target = "label" } }, indices = { 1 }, percentile = 100,
      sheet = false }
    assert.near(sc.attribute(model, x, { method = "gradient", target = labels }).input[1]:sum(1):abs():max(),
      own[1].images[2].limit, 1e-6)
  end)

  it("says of an empty panel that it is", function()
    needs.gnuplot(pending)
    local against = sc.model { input = { data.channels, 16, 16 }, build = function(net, x)
      x = net:relu("relu", net:conv2d("conv", x, { out = 4, kernel = 3, padding = 1 }))
      return net:linear("head", net:flatten("flat", net:adaptive_avg_pool2d("pool", x, { output = 1 })),
        { out = #data.classes })
    end }
    against.graph:set_parameter("head.weight", sc.full(#data.classes, 4, -1))
    local opts = { dir = folder, methods = { "lrp", "grad_cam" }, indices = { 1 }, width = 32, dpi = 72 }
    local made = sc.heatmaps(against, data.test, opts)
    assert.equal("no positive evidence", made[1].images[3].note)
    assert.is_nil(made[1].images[2].note)
    assert.equal("Grad-CAM: no positive evidence", made[1].lines[4])
    assert.truthy(files.read_all(made.sheet.svg):find("evidence", 1, true))
    against.graph:set_parameter("head.weight", sc.zeros(#data.classes, 4))
    assert.equal("zero everywhere", sc.heatmaps(against, data.test, opts)[1].images[2].note)
  end)

  it("knows all methods", function()
    local known = require("secateur.attribution.methods").explaining
    local made = draw { methods = "all", indices = { 1 }, steps = 2, sheet = false }
    assert.equal(1 + #known, #made[1].images)
    for i, name in ipairs(known) do assert.equal(name, made[1].images[i + 1].method) end
  end)

  it("leaves out of all methods those that are not defined for a model, and no others", function()
    needs.gnuplot(pending)
    local sigmoid = sc.model { input = { data.channels, 16, 16 }, build = function(net, x)
      x = net:sigmoid("act", net:conv2d("conv", x, { out = 2, kernel = 3, padding = 1 }))
      return net:linear("head", net:flatten("flat", x), { out = #data.classes })
    end }
    local made
    local said = stderr.calls(function()
      made = sc.heatmaps(sigmoid, data.test, { dir = folder, methods = "all", indices = { 1 }, sheet = false })
    end)
    local known = require("secateur.attribution.methods").explaining
    assert.equal(#known, #said + #made[1].images - 1)
    assert.matches("^heatmaps: left out Guided backprop: .*ReLU", said[1])
    assert.error_matches(function() sc.heatmaps(sigmoid, data.test, { dir = folder, methods = { "guided_backprop" } })
      end, "heatmaps: Guided backprop: ", 1, true)
  end)

  it("gives the same bytes for the same call", function()
    needs.gnuplot(pending)
    local first = files.read_all(draw({ methods = { "lrp", "ig" }, steps = 2 }).sheet.png)
    assert.equal(first, files.read_all(draw({ methods = { "lrp", "ig" }, steps = 2 }).sheet.png))
  end)

  it("puts a pruned model's beside the dense one's, for the same class", function()
    local scores = sc.importance(model, data.train, { method = "magnitude" })
    local pruned = sc.compact(sc.prune(model, scores, { rate = 0.6, repair = "none" }))
    local differing, chosen = 0, { indices = { 1, 2, 3, 4, 5, 6, 7, 8 }, methods = { "lrp", "dlb" }, sheet = false,
      colormap = "bwr", gamma = 1, percentile = 95, alpha = 0.5, width = 16, pruned = pruned }
    for _, target in ipairs { "prediction", { of = "prediction", against = "runner_up" } } do
      chosen.target = target
      for _, sample in ipairs(draw(chosen)) do
        local labels = {}
        for i, image in ipairs(sample.images) do labels[i] = image.label end
        assert.same({ "Image", "LRP, dense", "LRP, pruned", "DL-Backtrace, dense", "DL-Backtrace, pruned" }, labels)
        local x = data.test:batch { sample.index }
        local of = sc.attribute(model, x, { method = "lrp", target = target })
        local class = core.softmax(pruned:forward(x)):argmax(2):totable()[1]
        assert.truthy(sample.lines[4]:find("pruned: " .. data.classes[class], 1, true))
        differing = differing + (class ~= of.target[1] and 1 or 0)
        local expected = sc.heatmap(sc.attribute(pruned, x, { method = "lrp",
          target = of.against and { of = of.target, against = of.against } or of.target }).input[1],
          { image = data.test:image(sample.index), colormap = "bwr", gamma = 1, percentile = 95, alpha = 0.5 })
        assert.is_true(core.image_load(sample.images[3].path):allclose(expected, 0, 0.5 / 255 + 1e-6))
      end
    end
    assert.is_true(differing > 0) -- else the class explained would not tell
  end)

  it("is shown in a report", function()
    needs.gnuplot(pending)
    local rows = require "support.rows"
    local made = draw { methods = { "lrp" }, per_class = 1 }
    local page = files.read_all(report(rows.results { { { [0] = 0, [0.5] = 0.1 }, {} } }, files.join(folder, "report"),
      { heatmaps = made }))
    assert.truthy(page:find('<figure class="overview"><svg', 1, true))
    assert.truthy(page:find("Relevance for the predicted class", 1, true))
    assert.truthy(page:find("<summary>Picture by picture</summary>", 1, true))
    for _, extension in ipairs { "svg", "png", "pdf" } do
      assert.is_true(files.is_file(files.join(folder, "report/figures/heatmaps." .. extension)))
    end
  end)

  it("leaves out images that cannot be read, and says so where none is left", function()
    local names = {}
    for _, class in ipairs { "a", "b" } do
      for i = 1, 9 do names[#names + 1] = ("%s/%d.png"):format(class, i) end
    end
    pictures.save_all(files.join(folder, "data"), names)
    local broken = sc.data.folder(files.join(folder, "data"), { size = 16, on_duplicate = "ignore", cache_bytes = 0 })
    local name = broken.train.names[1]
    pictures.truncated(files.join(folder, "data"), name)
    local small = sc.models.vgg { config = { 2, "M" }, hidden = { 4 }, pool = 2, size = 16, classes = 2,
      channels = broken.channels }
    local opts = { dir = folder, methods = { "lrp" }, indices = { 1, 2 }, sheet = false }
    local made = sc.heatmaps(small, broken.train, opts)
    assert.same({ 2 }, { made[1].index, made[2] })
    opts.indices = { 1 }
    assert.error_matches(function() sc.heatmaps(small, broken.train, opts) end,
      "heatmaps: none of the 1 images could be decoded: .*" .. name:gsub("%p", "%%%0"))
  end)

  it("draws images of a single pixel", function()
    needs.gnuplot(pending)
    local one = sc.data.phantom { size = 16, count = 20, seed = 1 }
    local split = setmetatable({ size = 1 }, { __index = function(_, key) return one.test[key] end })
    function split.image() return core.full(3, 1, 1, 0.5) end
    function split:batch(indices)
      return core.randn(#indices, 3, 1, 1, { seed = 1 }), core.tensor(self:labels_of(indices), "int64"), indices
    end
    function split:labels_of(indices)
      local list = {}
      for i, index in ipairs(indices) do list[i] = self.labels[index] end
      return list
    end
    local tiny = sc.model { input = { 3, 1, 1 }, build = function(net, x)
      x = net:relu("r", net:conv2d("c", x, { out = 8, kernel = 1 }))
      return net:linear("head", net:flatten("f", x), { out = #one.classes })
    end }
    local made = sc.heatmaps(tiny, split, { dir = folder, methods = "all", width = 16, dpi = 72 })
    assert.equal(9, #made[1].images)
    assert.is_true(files.is_file(made.sheet.png))
  end)

  it("refuses a pruned model of other images or classes", function()
    local other = sc.models.vgg { config = { 4 }, hidden = { 4 }, pool = 1, size = 8, channels = data.channels,
      classes = 3 }
    assert.equal(("heatmaps: pruned: expected images [%d x 16 x 16] and %d classes as the model has, got [%d x 8 x 8] "
      .. "and 3"):format(data.channels, #data.classes, data.channels), errors.text(draw, { pruned = other }))
  end)

  it("says what is wrong, at the caller's level", function()
    needs.gnuplot(pending)
    local function wrong(message, opts, other)
      assert.equal("heatmaps: " .. message, errors.inside(function() sc.heatmaps(other or model, data.test, opts) end))
    end
    wrong("dir: missing", {})
    wrong("methods: expected at least one, got none", { dir = folder, methods = {} })
    wrong("methods[1]: expected one of 'lrp', 'dlb', 'ig', 'gradient', 'gradient_x_input', 'smoothgrad', "
      .. "'guided_backprop', 'grad_cam', or a table with such a name, got 'LRP'; did you mean 'lrp'?",
      { dir = folder, methods = { "LRP" } })
    wrong("methods: expected one of 'all' or a list, got 'lrp'", { dir = folder, methods = "lrp" })
    wrong("methods: expected one of 'all' or a list, got a table", { dir = folder, methods = { "lrp", flat = {} } })
    wrong("methods: expected a string as label, got a table at 1", { dir = folder,
      methods = { { name = "lrp", label = {} } } })
    wrong("Integrated Gradients: steps: expected \"auto\" or a whole number in [1, 1048576], got 'atuo'; "
      .. "did you mean 'auto'?",
      { dir = folder .. "/none", methods = { "lrp", { name = "ig", steps = "atuo" } } })
    wrong("normalise_by: expected one of 'panel', 'method', 'row', got 'sheet'", { dir = folder,
      normalise_by = "sheet" })
    wrong("target: expected a class in 1..4, got 9", { dir = folder, target = 9, methods = { "lrp" } })
    wrong("target: expected a class in 1..4, got 9", { dir = folder, target = 9, methods = "all" })
    wrong('target: expected a class, a list of classes, "prediction", "label" or a contrast, got \'lable\'; '
      .. "did you mean 'label'?",
      { dir = folder, target = "lable" })
    wrong("target: expected 4 classes, one per sample, got 1", { dir = folder, target = { 1 } })
    wrong("dir: expected a folder's path, got ''", { dir = "" })
    local good, got = pcall(function()
      sc.heatmaps(model, require "support.memory_split"(core.zeros(1, 3, 16, 16), { 1 }, { classes = data.classes }),
        { dir = folder })
    end)
    assert.matches("^spec/explanations/heatmaps_spec%.lua:%d+: heatmaps: split: expected one with image, batch, names, "
      .. "labels and classes, as data sets have$", good or got)
    local broken = model:clone()
    broken.graph:set_parameter("features.0.bias", core.full(4, 0 / 0))
    wrong("x: expected images and weights that give finite logits, got some that are not", { dir = folder,
      methods = "all" }, broken)
    wrong("'no-gnuplot' not found: figures are drawn with gnuplot 5; install gnuplot-nox (Debian) or gnuplot",
      { dir = folder, gnuplot = "no-gnuplot" })
    wrong("indices[1]: expected a whole number in [1, " .. data.test:count() .. "], got 0", { dir = folder,
      indices = { 0 } })
    local file = temporary.write(folder, "file", "")
    wrong("dir: " .. file .. ": File exists", { dir = file })
    local list = table.concat(require("secateur.explanations.colormaps").names(), ", ")
    wrong(("colormap: expected one of %s or a list of colours, got 'jet'"):format(list), { dir = folder,
      colormap = "jet" })
    good, got = pcall(draw, { methods = { "ig" }, colormap = "heat", steps = 2 })
    assert.is_false(good)
    assert.truthy(got:find("heatmaps: Integrated Gradients: colormap: expected one with two sides, since relevance is "
      .. "as low as", 1, true), got)
  end)
end)
