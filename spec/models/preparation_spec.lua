-- What a model knows of its images and classes, and what a data set that says otherwise meets.
local files = require "secateur.util.files"
local sc = require "secateur"
local stderr = require "spec.support.stderr"
local temporary = require "spec.support.temporary"

local function tiny(opts)
  opts = opts or {}
  return sc.model { input = { 1, 16, 16 }, head = opts.head, build = function(net, x)
    return net:linear("head", net:flatten("flat", x), { out = opts.out or 2 })
  end }
end

local function phantoms(opts)
  local all = { size = 16, channels = 1, count = 40, classes = { "normal", "effusion" } }
  for key, value in pairs(opts or {}) do all[key] = value end
  return sc.data.phantom(all)
end

local function trained(opts)
  local model = tiny()
  sc.train(model, phantoms(opts), { epochs = 1, quiet = true, augment = false })
  return model
end

local folder
setup(function() folder = temporary.folder() end)
teardown(function() files.remove(folder) end)

describe("preparation", function()
  it("travels with the model, through its file", function()
    local model, path = trained { mean = 0.25, std = 0.5 }, folder .. "/model.safetensors"
    model:save(path)
    local loaded = sc.load(path)
    assert.same({ size = 16, channels = 1, mean = { 0.25 }, std = { 0.5 }, resize = "squash",
      interpolation = "bilinear" }, loaded:preparation())
    assert.same({ "normal", "effusion" }, loaded.classes)
    local data = phantoms { like = loaded, size = nil, classes = nil }
    assert.same({ 0.25 }, data.train.preparation.mean)
    assert.equal(1, #loaded.info.preparation.mean)
    assert.equal(8, sc.evaluate(loaded, data.test).count)
  end)

  it("is held against the images of a split", function()
    local model = trained { mean = 0.25, std = 0.5 }
    assert.has_error(function() sc.evaluate(model, phantoms { mean = 0.5, std = 0.5 }.test) end,
      "evaluate: split: expected images prepared as those that the model was trained on, with mean 0.25, got 0.5 (like "
      .. "= model prepares them so; model.info.preparation and .normalisation = nil where the model is wrong)")
    model.info.preparation, model.info.normalisation = nil, nil
    assert.equal(8, sc.evaluate(model, phantoms { mean = 0.5, std = 0.5 }.test).count)
  end)

  it("is held against the images that a baseline is the mean of", function()
    local model = trained { mean = 0.25, std = 0.5 }
    local same, other = phantoms({ mean = 0.25, std = 0.5 }), phantoms()
    local x = same.test:batch { 1 }
    assert.truthy(sc.attribute(model, x, { method = "ig", baseline = same.train, steps = 2 }))
    for name, explain in pairs {
      attribute = function() sc.attribute(model, x, { method = "ig", baseline = { "black", other.train } }) end,
      faithfulness = function()
        sc.faithfulness(model, same.test, { methods = { "lrp" }, measures = { "morf" }, baseline = other.train })
      end,
    } do
      local good, message = pcall(explain)
      assert.is_false(good)
      assert.truthy(tostring(message):find(name .. ": baseline: expected images prepared as those that the model was "
        .. "trained on, with mean 0.25, got 0.449", 1, true), tostring(message))
    end
  end)

  it("of a file written before is its normalisation", function()
    local model = tiny()
    model.info.normalisation = { mean = { 0.1 }, std = { 0.2 } }
    assert.same({ size = 16, channels = 1, mean = { 0.1 }, std = { 0.2 } }, model:preparation())
    assert.has_error(function() sc.evaluate(model, phantoms().test) end)
  end)

  it("is checked when a model is saved and loaded", function()
    local model, path = tiny(), folder .. "/bad.safetensors"
    for field, value in pairs { resize = "stretch", std = { 0 }, crop = 0, range = { 2, 1 }, interpolation = "cubic",
      mean = "x", colour = 1 } do
      model.info.preparation = { [field] = value }
      assert.has_error(function() model:save(path) end)
    end
    model.info.preparation = { mean = { 0, 0, 0 }, std = { 1 } }
    assert.has_error(function() model:save(path) end,
      "save: info: preparation: expected as many numbers in std as in mean, got 1 and 3")
    model.info.preparation, model.info.head = nil, "tanh"
    assert.has_error(function() model:save(path) end, "save: info: head: expected 'softmax' or 'sigmoid', got 'tanh'")
  end)
end)

describe("class names", function()
  it("of a split must be the model's, in its order", function()
    local model = trained()
    assert.has_error(function() sc.evaluate(model, phantoms { classes = { "effusion", "normal" } }.test) end,
      "evaluate: split: expected the classes that the model knows, in its order: normal, effusion; got effusion, "
      .. "normal (like = model takes the model's; classes = { … } of sc.data gives order, selection and other names)")
    assert.has_error(function() sc.evaluate(model, phantoms { classes = { "normal", "opacity" } }.test) end,
      "evaluate: split: expected the classes that the model knows: normal, effusion; got normal, opacity (like = model "
      .. "takes the model's; classes = { … } of sc.data gives order, selection and other names)")
  end)

  it("change when a model learns others, aloud, but not their order", function()
    local model = trained()
    local said = stderr.text(function()
      sc.train(model, phantoms { classes = { "normal", "opacity" }, mean = 0.5 }, { epochs = 1, augment = false })
    end)
    assert.match("train: the model's classes were normal, effusion; they are normal, opacity now\n", said, 1, true)
    assert.match("train: the model's images were prepared with mean 0.449, now 0.5\n", said, 1, true)
    assert.same({ "normal", "opacity" }, model.classes)
    assert.has_error(function()
      sc.train(model, phantoms { classes = { "opacity", "normal" } }, { epochs = 1, quiet = true })
    end)
  end)
end)

describe("a head", function()
  it("of sigmoids says how many classes there are", function()
    local binary, findings = tiny { head = "sigmoid", out = 1 }, tiny { head = "sigmoid", out = 3 }
    assert.same({ "sigmoid", 1, 2 }, { binary.head, binary.output_count, binary.class_count })
    assert.same({ "sigmoid", 3, 3 }, { findings.head, findings.output_count, findings.class_count })
    assert.same({ "softmax", 2, 2 }, { tiny().head, tiny().output_count, tiny().class_count })
    local data = phantoms { classes = { "normal", "effusion", "opacity" } }
    assert.has_error(function() sc.evaluate(findings, data.test) end,
      "evaluate: split: expected findings, any number per image, as the model's head is sigmoid of 3 logits, got one "
      .. "class per image")
  end)

  it("of one logit and softmax is refused with what it should be", function()
    for _, run in ipairs { sc.evaluate, function(model) sc.train(model, phantoms(), { quiet = true }) end } do
      local good, message = pcall(run, tiny { out = 1 }, phantoms().test)
      assert.is_false(good)
      assert.truthy(tostring(message):find("expected 1 classes, as many as the model has, got 2; one logit tells two "
        .. "classes apart by head = 'sigmoid'", 1, true), tostring(message))
    end
  end)

  it("of one logit says which class that speaks for, until the model knows", function()
    local binary = tiny { head = "sigmoid", out = 1 }
    local function said()
      return stderr.text(function() sc.train(binary, phantoms(), { epochs = 1, augment = false }) end)
    end
    local line = "train: the one logit speaks for 'effusion', the second class (classes = { … } of sc.data gives the "
      .. "order)\n"
    assert.equal(line, said():sub(1, #line))
    assert.equal("epoch 1/1", said():sub(1, 9))
  end)

  it("is saved", function()
    local path = folder .. "/head.safetensors"
    sc.models.resnet18({ head = "sigmoid", classes = 1, size = 32 }):save(path)
    assert.equal(2, sc.load(path).class_count)
  end)
end)
