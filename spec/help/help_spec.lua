local child = require "support.child"
local comments = require "secateur.help.comments"
local index = require "secateur.help.index"
local operations = require "secateur.help.operations"
local sc = require "secateur"
local text = require "secateur.help.text"

-- What sc.help prints for an argument, as Lua source.
local function printed(argument)
  return child.run(('require "secateur".help(%s)'):format(argument))
end

describe("doc comments", function()
  it("are read with their tags", function()
    local entry = comments.read("--- Adds.\n-- More.\n-- @int a first\n"
      .. "-- @tparam[opt=2] {int,...} b second,\n--   long\n"
      .. "-- @treturn ?Tensor sum\n-- @usage\n-- f(1)\n--   g(2)\nlocal function f(a, b) end\n")[1]
    assert.same({ "function", "f", "Adds.\nMore." }, { entry.kind, entry.name, entry.text })
    assert.same({ name = "a", type = "int", text = "first", optional = false }, entry.params[1])
    assert.same({ name = "b", type = "{int,...}", text = "second,\nlong", optional = true, default = "2" },
      entry.params[2])
    assert.same({ type = "?Tensor", text = "sum" }, entry.returns[1])
    assert.same({ "f(1)\n  g(2)" }, entry.usage)
  end)

  it("belong to the line below, or say what they document", function()
    local found = {}
    local source = "--- M.\n-- @module m\nlocal a = 1\n\n--- F.\nfunction T:f() end\n"
      .. "--- G.\n-- @function T.g\n\n--- R.\nreturn function() end\n"
    for i, entry in ipairs(comments.read(source)) do
      found[i] = table.concat({ entry.kind, entry.owner or "", entry.separator or "", entry.name }, " ")
    end
    assert.same({ "module   m", "function T : f", "function T . g", "function   return" }, found)
  end)
end)

describe("the index", function()
  local found = index.build()

  it("has every public name", function()
    for name in pairs(index.names(index.read_installed "")) do assert.is_table(found.by_name[name], name) end
    for name in pairs(sc.models) do assert.is_table(found.by_name["models." .. name], name) end
    for name in pairs(sc.data) do assert.is_table(found.by_name["data." .. name], name) end
  end)

  it("has every method of tensors", function()
    for name in pairs(debug.getmetatable(sc.zeros(1))) do
      if not name:find "^__" then assert.is_table(found.by_name["Tensor:" .. name], name) end
    end
  end)

  it("knows no unknown tags and has a sentence about everything", function()
    for _, item in ipairs(found.list) do
      assert.same({}, item.entry.unknown, item.name)
      assert.is_true(#text.summary(item.entry.text) > 0, item.name)
    end
  end)
end)

describe("help", function()
  it("explains functions, methods, classes, members of tables and topics", function()
    assert.matches("^sc%.prune%(model, scores %[, opts%]%)\n\nRemoves units", printed '"prune"')
    assert.matches("^tensor:matmul%(other%)\n\nMatrix product", printed '"Tensor:matmul"')
    assert.matches("^tensor:matmul%(other%)", printed '"matmul"')
    assert.matches("^Tensor\n.*Tensor:matmul", printed 'require "secateur".zeros(1)')
    assert.matches("^sc%.models%.vgg%(opts%)", printed '"sc.models.vgg16"')
    assert.matches("ctx%.shuffle", printed '"sampling"')
    assert.matches("conv2d %(1 input%).*kernel: ", printed '"operations"')
  end)

  it("lists all names, and suggests some where one is not known", function()
    assert.matches("Pruning\n.*  prune +Removes units", printed "")
    assert.matches("^nothing is known of 'trian'; did you mean train", printed '"trian"')
    assert.matches("^nothing is known of 'qqqqqq'; sc%.help%(%) lists all names", printed '"qqqqqq"')
  end)

  it("tells of the attributes of every operation", function()
    local all = operations.text()
    for _, operation in ipairs(require "secateur.core".operations()) do
      assert.is_truthy(all:find(operation.name .. " (", 1, true), operation.name)
      for _, attribute in ipairs(operation.attributes) do
        assert.is_truthy(all:find("  " .. attribute.name .. ": a", 1, true) or attribute.choices, attribute.name)
      end
    end
  end)
end)

describe("secateur", function()
  it("says what it is", function()
    assert.matches("sc%.help", tostring(sc))
    assert.equal("string", type(sc._VERSION))
  end)
end)

-- What the public functions give prints as something that can be read, never as an address.
describe("values", function()
  local data = sc.data.phantom { size = 16, count = 40, seed = 1 }
  local model = sc.models.vgg { config = { 4, "M", 8, "M" }, hidden = { 8 }, pool = 2, size = 16,
    channels = data.channels, classes = #data.classes, seed = 3 }
  local x = data.test:batch { 1 }
  local scores = sc.importance(model, data.train, { method = "magnitude" })

  it("print as tables where they are lists", function()
    assert.matches("^layer +kind +units +parameters +MAC\nfeatures%.0 +conv +4 +", tostring(model:layers()))
    local evaluation = sc.evaluate(model, data.test)
    local counted = evaluation.confusion[1]
    assert.matches("^true \\ predicted +normal +nodule.*\nnormal +" .. table.concat(counted, " +") .. "\n",
      tostring(evaluation.confusion))
  end)

  it("print without an address", function()
    local pruned = sc.prune(model, scores, { rate = 0.5 })
    for name, value in pairs { dataset = data, split = data.test, model = model, layers = model:layers(),
      summary = model:summary(), shape = x:shape(), scores = scores, plan = pruned.plan,
      evaluation = sc.evaluate(pruned, data.test), attribution = sc.attribute(model, x, { method = "gradient" }),
      profile = model:profile(x, { repeats = 1 }), graph = model.graph,
      agreement = sc.agreement(model, pruned, data.test, { method = "gradient_x_input", per_class = 1 }) } do
      assert.is_nil(tostring(value):find "0x%x%x%x%x", name)
    end
  end)
end)
