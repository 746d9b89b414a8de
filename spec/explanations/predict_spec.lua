local core = require "secateur.core"
local csv = require "secateur.util.csv"
local errors = require "support.errors"
local files = require "secateur.util.files"
local sc = require "secateur"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local function network(opts)
  local given = { config = { 8, "M", 8, "M" }, hidden = { 8 }, pool = 2, size = 16, channels = 1, seed = 3 }
  for key, value in pairs(opts) do given[key] = value end
  return sc.models.vgg(given)
end

describe("predict", function()
  local root, data, model

  setup(function()
    root = temporary.folder()
    data = sc.data.phantom { size = 16, channels = 1, count = 60, classes = { "normal", "nodule", "effusion" },
      mean = 0.4, std = 0.3 }
    model = network { classes = 3 }
    sc.train(model, data, { epochs = 1, quiet = true })
    assert(files.mkdir_p(root .. "/in/below"))
    for i = 1, 5 do
      core.image_save(("%s/in/%s%d.png"):format(root, i > 3 and "below/" or "", i), data.test:image(i))
    end
  end)
  teardown(function() assert(files.remove(root)) end)

  it("says of a folder what forward and softmax say of its images, prepared as the model knows", function()
    local rows
    assert.equal("", stderr.text(function() rows = sc.predict(model, root .. "/in", { batch = 2 }) end))
    assert.equal(5, #rows)
    for i, row in ipairs(rows) do
      assert.equal(("%s/in/%s%d.png"):format(root, i > 3 and "below/" or "", i), row.file)
      local x = (core.image_load(row.file)[1] - 0.4) * (1 / 0.3)
      local expected = core.softmax(model:forward(x:reshape(1, 1, 16, 16)))
      local best = expected:argmax(2)[1]
      for class, p in ipairs(row.probabilities) do assert.near(expected:get(1, class), p, 1e-5) end
      assert.equal(data.classes[best], row.class)
      assert.equal(row.probabilities[best], row.probability)
      assert.equal(row.class, row.top[1].class)
      assert.equal(3, #row.top)
    end
  end)

  it("takes a path, a list, a split and tensors alike", function()
    local path = root .. "/in/1.png"
    local one = sc.predict(model, path)
    assert.equal(1, #one)
    local two = sc.predict(model, { root .. "/in/2.png", path })
    assert.same(one[1].probabilities, two[2].probabilities)
    local split = sc.predict(model, data.test)
    assert.equal(data.test:count(), #split)
    assert.equal(data.classes[data.test.labels[4]], split[4].label)
    assert.equal(4, split[4].index)
    local x = data.test:batch { 3, 4 }
    local tensor = sc.predict(model, x)
    assert.same(split[4].probabilities, tensor[2].probabilities)
    assert.same(tensor[2].probabilities, sc.predict(model, x[2])[1].probabilities)
    assert.equal("image 2", tensor[2].file)
    assert.is_nil(tensor[1].label)
  end)

  it("prepares files as the model's data set was", function()
    local images = root .. "/wide"
    assert(files.mkdir_p(images .. "/a"))
    assert(files.mkdir_p(images .. "/b"))
    for i = 1, 10 do
      local picture = core.rand(3, 20 + i, 30)
      core.image_save(("%s/%s/%d.png"):format(images, i % 2 == 0 and "a" or "b", i), picture)
    end
    for _, how in ipairs { { resize = "pad" }, { resize = "crop", interpolation = "bicubic" },
      { resize = 20, crop = 16, range = "full" }, { mean = 0.5, std = 0.25, interpolation = "nearest" } } do
      how.size, how.channels, how.quiet, how.splits = how.crop or 16, 1, true, { train = 0.5, val = 0.25, test = 0.25 }
      local set = sc.data.folder(images, how)
      local learned = network { like = set }
      sc.train(learned, set, { epochs = 1, quiet = true })
      local of_split = sc.predict(learned, set.train)
      local paths = {}
      for i, name in ipairs(set.train.names) do paths[i] = files.join(images, name) end
      local of_files
      assert.equal("", stderr.text(function()
        of_files = sc.predict(learned, paths, { heatmaps = "lrp", dir = root .. "/wide-maps" })
      end))
      for i, row in ipairs(of_files) do
        assert.same(of_split[i].probabilities, row.probabilities)
        assert.is_true(files.is_file(row.heatmaps[1].path))
      end
    end
  end)

  it("names and counts what it cannot read, and goes on", function()
    local bad = temporary.write(root, "bad/a.png", "no image")
    temporary.write(root, "bad/Thumbs.db", "x")
    local whole = assert(files.read_all(root .. "/in/1.png"))
    local cut = temporary.write(root, "bad/cut.png", whole:sub(1, #whole // 2))
    local good = temporary.write(root, "bad/good", whole) -- by content, not by name
    local rows
    local said = stderr.text(function() rows = sc.predict(model, { bad, cut, good, root .. "/none.png" }) end)
    assert.matches("^predict: 3 of 4 files cannot be read as images:\n  " .. bad .. ": ", said)
    assert.is_truthy(rows[1].error and rows[2].error and rows[4].error)
    assert.is_nil(rows[1].class)
    assert.equal(3, rows.failed)
    assert.is_string(rows[3].class)
    assert.matches("\n[^\n]*none.png +%-", tostring(rows))
    assert.matches("\n! [^\n]*none.png: No such file", tostring(rows))
    rows:csv(root .. "/bad.csv")
    local records = assert(csv.records(root .. "/bad.csv", { "file", "class", "p(nodule)", "error" }))
    assert.equal(rows[1].error, records[1].error)
    assert.equal(rows[3].class, records[3].class)
    assert.near(rows[3].probabilities[2], tonumber(records[3]["p(nodule)"]), 1e-12)
    assert.equal("predict: " .. bad .. ": " .. rows[1].error, errors.text(sc.predict, model, bad))
    assert.matches("^predict: none of the 2 images can be read, such as " .. bad,
      errors.text(sc.predict, model, { bad, cut }))
  end)

  it("numbers classes without names, and says that a preparation is not known", function()
    local fresh = network { classes = 4 }
    local rows
    local said = stderr.text(function() rows = sc.predict(fresh, root .. "/in/1.png") end)
    assert.matches("^predict: the model does not say how its images were prepared: taken as 1 x 16 x 16", said)
    assert.equal("integer", math.type(rows[1].class))
    assert.equal("", stderr.text(function() sc.predict(fresh, root .. "/in/1.png", { mean = 0, std = 1 }) end))
    assert.equal("", stderr.text(function() sc.predict(fresh, root .. "/in/1.png", { quiet = true }) end))
  end)

  it("decides for the positive class of one logit by the threshold", function()
    local binary = network { classes = 1, head = "sigmoid" }
    local x = data.test:batch { 1, 2 }
    local p = core.sigmoid(binary:forward(x)):get(1, 1)
    local row = sc.predict(binary, x)[1]
    assert.near(1 - p, row.probabilities[1], 1e-6)
    assert.near(p, row.probabilities[2], 1e-6)
    assert.equal(2, sc.predict(binary, x, { threshold = p / 2 })[1].class)
    assert.equal(1, sc.predict(binary, x, { threshold = (1 + p) / 2 })[1].class)
  end)

  it("names the findings from the threshold on", function()
    local several = network { classes = 3, head = "sigmoid" }
    several.info.classes = { "a", "b", "c" }
    local x = data.test:batch { 1 }
    local p = core.sigmoid(several:forward(x)):totable()[1]
    local rows = sc.predict(several, x, { threshold = { p[1], p[2] + 0.01, 0 } })
    assert.same({ "a", "c" }, rows[1].findings)
    assert.is_nil(rows[1].class)
    assert.equal(math.max(table.unpack(p)), rows[1].probability)
    rows:csv(root .. "/several.csv")
    assert.equal("a|c", assert(csv.records(root .. "/several.csv", { "findings" }))[1].findings)
    assert.matches("a, c", tostring(rows))
  end)

  it("tells findings that a label leaves open from those that are absent", function()
    local set = sc.data.phantom { size = 16, channels = 1, count = 40, multi_label = true }
    local labels = set.test.labels
    labels[1], labels[2], labels[3] = { 1, 0, 0 }, { 1, -1, -1 }, { 0, 0, 0 }
    local several = network { classes = 3, head = "sigmoid" }
    local rows = sc.predict(several, set.test)
    assert.same({ "nodule" }, rows[1].label)
    assert.is_nil(rows[1].unknown)
    assert.same({ "nodule" }, rows[2].label)
    assert.same({ "effusion", "opacity" }, rows[2].unknown)
    rows:csv(root .. "/open.csv")
    local read = assert(csv.records(root .. "/open.csv", { "label", "unknown" }))
    assert.same({ "nodule", "" }, { read[1].label, read[1].unknown })
    assert.same({ "nodule", "effusion|opacity" }, { read[2].label, read[2].unknown })
    local lines = {}
    for line in tostring(rows):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.matches("nodule, effusion?, opacity?", lines[3], 1, true)
    assert.matches("none", lines[4], 1, true)
    labels[2] = { 1, 0, 1 }
    sc.predict(several, set.test):csv(root .. "/known.csv")
    assert.is_nil(files.read_all(root .. "/known.csv", 1 << 20):find("unknown", 1, true))
  end)

  it("draws heatmaps of images that nobody has labelled", function()
    for name, images in pairs { files = root .. "/in", tensor = (data.test:batch { 1, 2 }) } do
      local rows = sc.predict(model, images, { heatmaps = { "lrp", { name = "grad_cam", label = "CAM" } },
        dir = files.join(root, "why", name) })
      for _, row in ipairs(rows) do
        assert.is_true(files.is_file(row.image))
        assert.equal(2, #row.heatmaps)
        for _, heatmap in ipairs(row.heatmaps) do assert.is_true(files.is_file(heatmap.path)) end
      end
      assert.is_true(files.is_file(rows.sheet.png))
      rows:csv(root .. "/h.csv")
      assert.equal(rows[2].heatmaps[2].path, assert(csv.records(root .. "/h.csv", { "heatmap CAM" }))[2]["heatmap CAM"])
    end
  end)

  it("shows names with control characters in one line, in CSV too", function()
    local odd = ("%s/in/x\n\27.png"):format(root)
    core.image_save(odd, data.test:image(1))
    local rows = sc.predict(model, { odd })
    assert(files.remove(odd))
    assert.equal(odd, rows[1].file)
    assert.matches("/in/x\\n\\x1B.png ", tostring(rows), 1, true)
    assert.equal(2, select(2, tostring(rows):gsub("[^\n]+", "")))
    local path = root .. "/odd.csv"
    rows:csv(path)
    assert.equal(odd:gsub("\n", "\\n"):gsub("\27", "\\x1B"), csv.records(path, { "file" })[1].file)
    files.remove(path)
  end)

  it("shows the first fifty rows", function()
    local text = tostring(sc.predict(model, core.zeros(53, 1, 16, 16)))
    assert.matches("\nand 3 more", text)
  end)

  it("refuses what makes no sense", function()
    for message, call in pairs {
      ["predict: images: expected a path, a list of paths, a folder, a split or a Tensor, got nil"] = {},
      ["predict: mean: expected none with a split, which has its own"] = { data.test, { mean = 0 } },
      ["predict: mean: expected none with a Tensor, which is prepared already"] = { (data.test:batch { 1 }),
        { mean = 0 } },
      ['predict: threshold: expected none, the model decides for the likeliest class (head "softmax")'] = {
        root .. "/in", { threshold = 0.5 } },
      ["predict: heatmaps: expected methods (lrp, dlb, ig, gradient, gradient_x_input, smoothgrad, guided_backprop, "
        .. "grad_cam), \"all\" or tables with a name, got 'LRP' at 1"] = { data.test, { heatmaps = "LRP" } },
    } do
      assert.equal(message, errors.text(sc.predict, model, table.unpack(call)))
    end
    assert.matches("a data set has splits, such as data.test$", errors.text(sc.predict, model, data))
    assert.matches("^predict: images: expected at least one, found none", errors.text(sc.predict, model, {}))
  end)
end)
