local builder = require "secateur.models.custom"
local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"
local prune = require "secateur.pruning.prune"
local pruning_plan = require "secateur.models.pruning_plan"
local repair = require "secateur.pruning.repair"
local stderr = require "support.stderr"
local toy = require "support.toy"

local function random_scores(model, seed)
  local scores = {}
  for _, layer in ipairs(model:layers()) do
    scores[layer.name] = core.randn(layer.units, { seed = layer.units + seed })
  end
  return scores
end

-- Mean square of what two models' logits differ by on images of their kind.
local function distance(one, other)
  local x = families.batch(one, 40, 99)
  local apart = one:forward(x) - other:forward(x)
  return (apart * apart):mean()
end

local function state(graph)
  local copy = {}
  for _, parameter in ipairs(graph:parameters()) do copy[parameter.name] = graph:parameter(parameter.name):totable() end
  return copy
end

-- Batch norms with the statistics of what they get, as training leaves them.
local function settled(model)
  local batch_norm = require "secateur.pruning.repair.batch_norm"
  if #batch_norm.find(model.graph) == 0 then return model end
  local nothing, result = pruning_plan.fit(model:layers(), {}), model:clone()
  result.graph = repair.apply(model, nothing, "batch_norm", families.batch(model, 60, 3), {})
  return result
end

describe("repair", function()
  for name, model in pairs(families.all()) do
    it("by least squares brings outputs nearer to the dense network's: " .. name, function()
      local dense = settled(model)
      local images, scores = families.batch(dense, 100, 7), random_scores(dense, 1)
      local found = {}
      local before = state(dense.graph)
      for _, method in ipairs { "none", "bias", "least_squares" } do
        local pruned
        stderr.text(function()
          pruned = prune(dense, scores, { rate = 0.4, repair = method, calibration = images })
        end)
        found[method] = distance(dense, pruned)
        assert.is_true(pruning_plan.holds(pruned.pruning_plan, pruned.graph))
        assert.equal(method ~= "none", pruned.repair ~= nil)
        if pruned.repair then
          assert.equal(method, pruned.repair.method)
          assert.equal(method, pruned.info.repair)
          assert.equal(100, pruned.repair.calibration_count)
          assert.equal(method == "bias" and name == "custom", pruned.repair.layers == 0) -- whose head has no bias
          assert.is_true(pruned.repair.seconds >= 0)
        end
      end
      assert.is_true(found.least_squares < 0.5 * found.none, ("%g, %g"):format(found.least_squares, found.none))
      assert.same(before, state(dense.graph))
    end)
  end

  it("changes nothing where nothing is removed", function()
    local model = families.all().basic
    local same = prune(model, random_scores(model, 2), { rate = 0, repair = "least_squares",
      calibration = families.batch(model, 8) })
    local x = families.batch(model, 8, 5)
    assert.is_true(same:forward(x):allclose(model:forward(x), 1e-4, 1e-5))
    assert.equal(0, same.repair.layers)
  end)

  -- conv2's units 3 and 4 are sums of its first two where the next layer reads them.
  local function redundant(activation)
    local model = builder { input = { 2, 8, 8 }, build = function(net, x)
      x = net:relu("relu1", net:conv2d("conv1", x, { out = 5, kernel = 3, padding = 1 }))
      x = net:conv2d("conv2", x, { out = 4, kernel = 3 })
      if activation then x = net:relu("relu2", x) end
      x = net:conv2d("conv3", x, { out = 6, kernel = 3, padding = 1 })
      x = net:flatten("flat", net:adaptive_avg_pool2d("pool", net:relu("relu3", x), { output = 2 }))
      return net:linear("head", x, { out = 3 })
    end }
    families.shake(model)
    local weight, bias = model.graph:parameter "conv2.weight", model.graph:parameter "conv2.bias"
    weight:view(3, 3):copy(weight:view(1, 1) * 2)
    bias:view(3, 3):copy(bias:view(1, 1) * 2)
    if not activation then
      weight:view(4, 4):copy(weight:view(1, 1) + weight:view(2, 2))
      bias:view(4, 4):copy(bias:view(1, 1) + bias:view(2, 2))
    end
    return model
  end

  it("restores the dense network where removed units are sums of others", function()
    for _, activation in ipairs { true, false } do
      local model = redundant(activation)
      local plan = pruning_plan.fit(model:layers(), { conv2 = activation and { 3 } or { 3, 4 } })
      local pruned = prune(model, plan, { repair = "none" })
      local lost = distance(model, pruned)
      pruned:release()
      pruned.graph = repair.apply(model, plan, "least_squares", families.batch(model, 60, 4), { ridge = 1e-7 })
      local left = distance(model, pruned)
      assert.is_true(lost > 1e-6 and left < 1e-7 * lost, ("%g of %g"):format(left, lost))
    end
  end)

  it("of a branch makes up for what its stream has lost", function()
    local model = builder { input = { 2, 8, 8 }, build = function(net, x)
      x = net:conv2d("stem", x, { out = 4, kernel = 3, padding = 1 })
      local y = net:conv2d("branch", x, { out = 4, kernel = 3, padding = 1 })
      y = net:dropout("drop", y, { p = 0.5 })
      x = net:add("sum", { y, x })
      x = net:flatten("flat", net:adaptive_avg_pool2d("pool", x, { output = 1 }))
      return net:linear("head", x, { out = 4, bias = false })
    end }
    families.shake(model)
    local graph = model.graph
    graph:parameter "stem.weight":view(4, 4):copy(graph:parameter "stem.weight":view(3, 3))
    graph:parameter "stem.bias":view(4, 4):copy(graph:parameter "stem.bias":view(3, 3))
    -- channel 4 of the stream is lost but for the branch, which can make it of channel 3
    local plan = pruning_plan.fit(model:layers(), { stem = { 4 } })
    local pruned = prune(model, plan, { repair = "none" })
    local lost = distance(model, pruned)
    pruned:release()
    pruned.graph = repair.apply(model, plan, "least_squares", families.batch(model, 60, 4), { ridge = 1e-7 })
    assert.is_true(distance(model, pruned) < 1e-7 * lost)
    local x = families.batch(model, 4, 8)
    local function sum_of(one)
      local execution = core.plan(one.graph, { batch = 4, keep = { "sum" } })
      execution:forward(x)
      return execution:value "sum"
    end
    assert.is_true(sum_of(pruned):allclose(sum_of(model), 1e-3, 1e-3))
  end)

  it("has the same bits whatever the batch, and the memory for what is kept", function()
    local model = families.all().bottleneck
    local plan = prune.plan(model, random_scores(model, 3), { rate = 0.4 })
    local images = families.batch(model, 30, 7)
    local function repaired(batch) return state((repair.apply(model, plan, "least_squares", images, { batch = batch })))
    end
    local first = repaired(16)
    assert.same(first, repaired(7))
    assert.same(first, repaired(1))
    local runner = require "secateur.pruning.repair.network_runner"
    local real = runner.new
    runner.new = function(graph, given, _) return real(graph, given, 40000) end -- next to nothing is kept
    local good, again = pcall(repaired, 16)
    runner.new = real
    assert.is_true(good, again)
    assert.same(first, again)
  end)

  it("wins back accuracy of a trained network", function()
    local train = require "secateur.training.train"
    local data, model = toy.data(90, 60), toy.model { config = { 12, "M", 16, "M" }, batch_norm = true }
    train(model, data, toy.quietly(12))
    local scores = random_scores(model, 4)
    local evaluate = require "secateur.evaluation.evaluate"
    local x = data.train:batches { batch = 90 } ()
    local accuracy = {}
    for _, method in ipairs { "none", "bias", "batch_norm", "least_squares" } do
      local pruned = prune(model, scores, { rate = 0.6, scope = "layer", repair = method, calibration = x })
      accuracy[method] = evaluate(pruned, data.val).accuracy
    end
    local dense = evaluate(model, data.val).accuracy
    assert.is_true(accuracy.least_squares >= dense - 0.05 and accuracy.least_squares > accuracy.none,
      ("%g of %g, none %g, bias %g"):format(accuracy.least_squares, dense, accuracy.none, accuracy.bias))
    assert.is_true(accuracy.batch_norm > accuracy.none)
  end)

  it("says which layers are left as they are", function()
    local model = builder { input = { 1, 6, 6 }, build = function(net, x)
      x = net:relu("relu1", net:conv2d("one", x, { out = 4, kernel = 3, padding = 1 }))
      x = net:relu("relu2", net:conv2d("two", x, { out = 4, kernel = 3, padding = 1 }))
      x = net:conv2d("three", x, { out = 4, kernel = 3, padding = 1 },
        { weight = { name = "two.weight" }, bias = { name = "two.bias" } })
      return net:linear("head", net:flatten("flat", x), { out = 2, bias = false })
    end }
    local images = families.batch(families.shake(model), 20)
    local pruned
    local text = stderr.text(function()
      pruned = prune(model, { one = { 2 } }, { repair = "least_squares", calibration = images })
    end)
    assert.equal("prune: 2 layers not repaired: 'two' (shares weights with 'three'), 'three' (shares weights with "
      .. "'two')\n", text)
    assert.same({ { name = "two", reason = "shares weights with 'three'" },
      { name = "three", reason = "shares weights with 'two'" } }, pruned.repair.left)
    assert.equal(1, pruned.repair.layers)
    text = stderr.text(function() prune(model, { one = { 2 } }, { repair = "bias", calibration = images }) end)
    assert.matches("3 layers not repaired.*'head' %(has no bias%)", text)
  end)

  it("is none without images, which is said once, and refused where it is asked for", function()
    local model = families.all().vgg
    local scores = random_scores(model, 5)
    local text = stderr.text(function()
      assert.is_nil(prune(model, scores, { rate = 0.5 }).repair)
      prune(model, scores, { rate = 0.6 })
    end)
    assert.equal("prune: no images to repair with (calibration = data.train gives them): not repaired\n", text)
    local images = families.batch(model, 4)
    local function wrong(message, opts, given)
      assert.has_error(function() prune(model, given or scores, opts) end, "prune: " .. message)
    end
    wrong("calibration: expected images to repair with, a split or a Tensor [N x C x H x W], got none",
      { rate = 0.5, repair = "bias" })
    wrong("repair: expected a network with batch norms for \"batch_norm\", found none; \"least_squares\" repairs any",
      { rate = 0.5, repair = "batch_norm", calibration = images })
    wrong("repair: expected one of 'least_squares', 'bias', 'batch_norm', 'none', got 'best'",
      { rate = 0.5, repair = "best" })
    wrong("calibration: expected a Tensor [N x 3 x 16 x 16], got [2 x 3 x 8 x 8]",
      { rate = 0.5, repair = "bias", calibration = core.zeros(2, 3, 8, 8) })
    images:set(0 / 0, 2, 1, 5, 5)
    local message = errors.text(prune, model, scores, { rate = 0.5, repair = "least_squares", calibration = images })
    assert.matches("^prune: repair: '[%w%.]+': least_squares: %a: expected finite numbers$", message)
  end)
end)
