local core = require "secateur.core"
local damage = require "support.damage"
local errors = require "support.errors"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

describe("a checkpoint that was changed", function()
  local folder, path, data, tensors, meta
  local opts

  setup(function()
    folder = temporary.folder()
    path = folder .. "/run.safetensors"
    data = toy.data(12, 6)
    -- The rate of the first epoch is the only one that leads anywhere, so that the best epoch is not the last.
    opts = toy.quietly(3, { checkpoint = path, resume = true, ema = 0.5, select = "loss",
      schedule = function(_, epoch) return epoch == 1 and 1 or 200 end })
    train(toy.model(), data, opts)
    tensors, meta = safetensors.load(path)
    assert(json.decode(meta.record).best_epoch < 3)
  end)
  teardown(function() files.remove(folder) end)

  -- Writes the checkpoint anew, changed; gives what goes on from it says, having checked that the model stays as it is.
  local function message_after(change)
    local record, given, about = json.decode(meta.record), {}, {}
    for name, tensor in pairs(tensors) do given[name] = tensor end
    for key, text in pairs(meta) do about[key] = text end
    record = change(record, given, about) or record
    about.record = about.record ~= meta.record and about.record or json.encode(record)
    safetensors.save(path, given, about)
    local model = toy.model { seed = 5 }
    local before = toy.weights(model)
    local message = errors.raised(function() train(model, data, opts) end)
    assert.same(before, toy.weights(model))
    local prefix = ("train: checkpoint '%s': is damaged: "):format(path)
    assert.equal(prefix, message:sub(1, #prefix))
    return message:sub(#prefix + 1)
  end

  it("goes on where nothing was changed", function()
    safetensors.save(path, tensors, meta)
    assert.equal(3, #train(toy.model(), data, opts))
  end)

  it("is refused for its record, with the field", function()
    local function message(change)
      return message_after(function(record) return change(record) end)
    end
    local whole = "record: epoch: expected a whole number of at least 1, got "
    for _, value in ipairs { -5, 0, 1.5, "2", {} } do
      local text = type(value) == "string" and "'2'" or type(value) == "table" and "a table" or tostring(value)
      assert.equal(whole .. text, message(function(record) record.epoch = value end))
    end
    assert.equal(whole .. "nil", message(function(record) record.epoch = nil end))
    assert.equal("record: rows[4]: expected a table, got nil",
      message(function(record) record.epoch = 10 ^ 18 // 1 | 0 end))
    assert.equal("record: rows: expected 2, one per epoch, got another at 3",
      message(function(record) record.epoch = 2 end))
    for _, value in ipairs { 99, 0, 3, "x" } do
      assert.truthy(message(function(record) record.best_epoch = value end)
        :find "^record: best_epoch: expected %d, which the rows say, got ")
    end
    assert.equal("record: rows: expected a list, got 'abc'", message(function(record) record.rows = "abc" end))
    assert.equal("record: rows[1]: expected a table, got 'a'", message(function(record) record.rows = { "a" } end))
    assert.equal("record: rows[1].epoch: expected a whole number of at least 0, got nil",
      message(function(record) record.rows = { {}, {}, {} } end))
    assert.equal("record: rows[2].epoch: expected 2, got 1",
      message(function(record) record.rows[2] = record.rows[1] end))
    assert.equal("record: rows[2].val_accuracy: expected a number in [0, 1], got '<b>'",
      message(function(record) record.rows[2].val_accuracy = "<b>" end))
    assert.equal("record: rows[2].val_loss: expected a finite number, got nil",
      message(function(record) record.rows[2].val_loss = nil end))
    assert.equal("record: rows[2].val_loss: expected a finite number, got inf",
      message(function(record) record.rows[2].val_loss = math.huge end))
    for value, text in pairs { [-1] = "-1", [math.huge] = "inf" } do
      assert.equal("record: rows[1].lr: expected a finite number of at least 0, got " .. text,
        message(function(record) record.rows[1].lr = value end))
    end
    assert.equal("record: rows[1]: unknown field 'more'", message(function(record) record.rows[1].more = 1 end))
    assert.equal("record: unknown field 'more'", message(function(record) record.more = 1 end))
    assert.equal("record: skipped: expected a whole number of at least 0, got -1",
      message(function(record) record.skipped = -1 end))
    assert.equal("record: expected an object", message(function() return { 1, 2 } end))
    for _, text in ipairs { "", "{", "[null,1]", "7", '"x"', '{"epoch":1,"epoch":3}' } do
      for _, field in ipairs { "record", "description" } do
        assert.truthy(message_after(function(_, _, about) about[field] = text end):find("^" .. field .. ": "))
      end
    end
  end)

  it("is refused for its tensors, with the name", function()
    local function message(name, tensor)
      return message_after(function(_, given) given[name] = tensor end)
    end
    local weight = "features.0.weight"
    for _, part in ipairs { "model", "average", "best" } do
      local name = part .. "/" .. weight
      assert.equal(("tensor '%s': missing"):format(name), message(name, nil))
      assert.equal(("tensor '%s': expected float32 [6x1x3x3], got float32 [2]"):format(name),
        message(name, core.tensor { 1, 2 }))
      assert.equal(("tensor '%s': expected float32 [6x1x3x3], got int64 [6x1x3x3]"):format(name),
        message(name, core.tensor({ 6, 1, 3, 3, fill = 1 }, "int64")))
      assert.equal(("tensor '%s': expected finite numbers"):format(name),
        message(name, core.tensor { 6, 1, 3, 3, fill = 0 / 0 }))
      assert.equal(("tensor '%s/more': unexpected"):format(part), message(part .. "/more", core.tensor { 1 }))
    end
    for _, part in ipairs { "model", "average", "best", "optimiser" } do
      assert.truthy(message_after(function(_, given)
        for name in pairs(given) do given[name] = name:sub(1, #part + 1) ~= part .. "/" and given[name] or nil end
      end):find("^tensor '" .. part .. "/%S+': missing$"))
    end
    assert.equal("tensor 'optimiser/v/" .. weight .. "': expected numbers of at least 0",
      message("optimiser/v/" .. weight, core.tensor { 6, 1, 3, 3, fill = -1 }))
    assert.equal("tensor 'optimiser/steps': expected int64 [1], got int64 []",
      message("optimiser/steps", core.tensor({ fill = 3 }, "int64")))
    assert.truthy(message("optimiser/steps", core.tensor({ 2 }, "int64"))
      :find "^tensor 'optimiser/steps': expected 3 to %d+, got 2$")
    for _, steps in ipairs { -7, math.maxinteger } do
      assert.equal("tensor 'optimiser/steps': expected whole numbers in 0..9007199254740992, got " .. steps,
        message("optimiser/steps", core.tensor({ steps }, "int64")))
    end
    assert.equal("tensor 'more': unexpected", message("more", core.tensor { 1 }))
    assert.equal("tensor 'record/x': unexpected", message("record/x", core.tensor { 1 }))
    assert.equal("tensor a string of 1000 bytes: unexpected", message(("x"):rep(1000), core.tensor { 1 }))
    assert.equal("tensor 'images/train': expected int64 [12x3], got float32 [1]",
      message("images/train", core.tensor { 1 }))
    assert.equal("tensor 'images/test': unexpected", message("images/test", core.tensor({ { 1, 2, 3 } }, "int64")))
  end)

  it("is refused for statistics of batch norms that are none", function()
    local other = toy.quietly(1, { checkpoint = folder .. "/norm.safetensors", resume = true })
    train(toy.model { batch_norm = true }, data, other)
    local given, about = safetensors.load(other.checkpoint)
    local function message(pattern, value)
      local changed, name = {}, nil
      for key, tensor in pairs(given) do
        changed[key] = tensor
        if key:find(pattern) then name = key end
      end
      changed[name] = core.tensor({ fill = value, table.unpack(given[name]:shape()) }, given[name]:dtype())
      safetensors.save(other.checkpoint, changed, about)
      local problem = errors.raised(function() train(toy.model { batch_norm = true }, data, other) end)
      return problem:match("is damaged: tensor '" .. name:gsub("%p", "%%%0") .. "': (.*)$")
    end
    assert.equal("expected numbers of at least 0", message("^model/.*running_var$", -1))
    assert.equal("expected finite numbers", message("^model/.*running_mean$", math.huge))
    for _, value in ipairs { -1, math.maxinteger } do
      assert.equal("expected whole numbers in 0..9007199254740992, got " .. value,
        message("^model/.*num_batches_tracked$", value))
    end
  end)

  it("is refused without the best weights where they are not the last", function()
    assert.truthy(message_after(function(record, given)
      record.rows[3].val_loss, record.best_epoch = -1, 3
      given["best/features.0.weight"] = nil
    end):find "^tensor 'best/%S+': unexpected$")
  end)

  it("ends in an error of ours or in a training that goes on, whatever its bytes", function()
    safetensors.save(path, tensors, meta)
    local bytes, draw = assert(files.read_all(path)), damage.draws(11)
    local refused, count = 0, tonumber(os.getenv "CHECKPOINT_INPUTS") or 300
    local prefix = ("train: checkpoint '%s': "):format(path)
    local model = toy.model()
    for i = 1, count do
      local kind = damage.kinds[i % #damage.kinds + 1]
      assert(files.write_all(path, damage.ways[kind](bytes, draw)))
      local ok, problem = pcall(train, model, data, opts)
      if not ok then
        assert.truthy(tostring(problem):find(prefix, 1, true), tostring(problem))
        refused = refused + 1
      end
    end
    assert.is_true(refused > count // 2)
  end)
end)
