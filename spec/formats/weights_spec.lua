local checkpoints = require "support.checkpoints"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local safetensors = require "secateur.formats.safetensors"
local stderr = require "support.stderr"
local temporary = require "support.temporary"
local weights = require "secateur.formats.weights"

local p = checkpoints.p

local message_of = errors.raised

describe("load_weights", function()
  local sc = require "secateur"

  it("gives all tensors of a file of any kind", function()
    local expected = safetensors.load "spec/fixtures/checkpoints/whole.safetensors"
    local tensors = sc.load_weights "spec/fixtures/checkpoints/protocol4.pth"
    local count = 0
    for name, tensor in pairs(tensors) do
      assert.same(expected[name]:totable(), tensor:totable())
      count = count + 1
    end
    assert.equal(5, count)
    assert.is_true(rawequal(tensors.f32, tensors.same))
    assert.same(expected.f32:totable(), sc.load_weights("spec/fixtures/checkpoints/whole.safetensors").f32:totable())
    local params = sc.load_weights("spec/fixtures/checkpoints/training.pth", { key = "state_dict" })
    assert.same({ 2, 1, 3, 3 }, params["module.0.weight"]:shape())
  end)

  it("leaves out what no Tensor can hold, and says so", function()
    local tensors
    local said = stderr.text(function() tensors = sc.load_weights "spec/fixtures/checkpoints/whole.pth" end)
    assert.is_nil(tensors.complex)
    assert.is_not_nil(tensors.f32)
    assert.is_truthy(said:find("load_weights: 'spec/fixtures/checkpoints/whole.pth': left out 'complex' (a tensor of "
      .. "complex64)\n", 1, true), said)
  end)

  it("raises at its caller's line", function()
    assert.equal("load_weights: 'nowhere': No such file or directory",
      errors.here(function() local _ = sc.load_weights "nowhere" end))
    assert.equal("load_weights: path: missing", errors.here(function() local _ = sc.load_weights() end))
    assert.equal("load_weights: unknown option 'keys', expected one of: key; did you mean 'key'?",
      errors.here(function() local _ = sc.load_weights("x", { keys = "a" }) end))
  end)
end)

describe("weights.open", function()
  local folder, path
  setup(function()
    folder = temporary.folder()
    path = folder .. "/x"
  end)
  teardown(function() files.remove(folder) end)

  local function complaint(bytes, opts)
    temporary.write(folder, "x", bytes)
    local message = message_of(weights.open, path, opts)
    local lead = ("'%s': "):format(path)
    assert.equal(lead, message:sub(1, #lead))
    return message:sub(#lead + 1)
  end

  it("gives safetensors and checkpoints through the same methods, whatever they are called", function()
    safetensors.save(path, { b = core.tensor { 1.5, 2 }, a = core.tensor({ 7 }, "int64"),
      u = core.tensor({ { 1, 2 } }, "uint8") }, { note = "text" })
    do
      local file <close> = weights.open(path)
      assert.equal("safetensors", file.kind)
      assert.same({ note = "text" }, file.metadata)
      assert.same({ "a", "b", "u" }, file:names())
      assert.same({ shape = { 2 }, dtype = "float32", stored = "F32" }, file:info "b")
      assert.same({ shape = { 1 }, dtype = "int64", stored = "I64" }, file:info "a")
      assert.same({ shape = { 1, 2 }, dtype = "uint8", stored = "U8" }, file:info "u")
      assert.same({ 1.5, 2 }, file:read("b"):totable())
      assert.equal(("'%s': no tensor 'c' in it"):format(path), message_of(file.read, file, "c"))
      assert.equal(("'%s': no tensor 'c' in it"):format(path), message_of(file.info, file, "c"))
    end
    temporary.write(folder, "x", checkpoints.zip(p.dict(p.str "b", p.tensor { shape = { 2 } }, p.str "a",
      p.tensor { shape = { 2, 1 }, key = "1", kind = "Half" }),
      { ["0"] = checkpoints.floats(1.5, 2), ["1"] = "\0\0\0\60" }))
    local file <close> = weights.open(path)
    assert.equal("pytorch", file.kind)
    assert.same({}, file.metadata)
    assert.same({ "a", "b" }, file:names())
    assert.same({ shape = { 2, 1 }, dtype = "float32", stored = "F16" }, file:info "a")
    assert.same({ { 0 }, { 1 } }, file:read("a"):totable())
    assert.equal(("'%s': no tensor 'c' in it"):format(path), message_of(file.read, file, "c"))
    assert.equal(("'%s': no tensor 'c' in it"):format(path), message_of(file.info, file, "c"))
    file:info("a").shape[1] = 5 -- a copy
    assert.same({ 2, 1 }, file:info("a").shape)
  end)

  it("refuses what it does not know, naming the file", function()
    local other = "expected a safetensors file or a checkpoint of PyTorch, got something else"
    assert.equal("an empty file", complaint "")
    assert.equal("compressed with gzip; unpack it first", complaint "\31\139\8\0\0\0")
    assert.equal("text in JSON, no weights: where these are in several files, join what load_weights gives",
      complaint '{\n  "metadata": {"total_size": 8}, "weight_map": {}\n}\n')
    assert.equal(other, complaint "some text")
    assert.equal(other, complaint(("\137PNG\r\n\26\n"):rep(10)))
    assert.equal("a pointer of Git LFS, which stands for a file that was not fetched",
      complaint "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert.equal("a checkpoint of PyTorch before version 0.1.10, in tar's format; save it again with a newer one",
      complaint(("x"):rep(257) .. "ustar" .. ("\0"):rep(250)))
    assert.equal("'nowhere/x': No such file or directory", message_of(weights.open, "nowhere/x"))
    assert.equal("'spec': expected a regular file, got a directory", message_of(weights.open, "spec"))
    assert.matches("^header: ", complaint(string.pack("<s8", "{]") .. "more"))
  end)

  it("quotes what a file says in a line that a terminal can show", function()
    local message = complaint(checkpoints.zip(p.str("\27[2J") .. p.str(("x\n"):rep(500)) .. "\x93"))
    assert.equal("global '\\x1B[2J.x\\nx", message:sub(1, 20))
    assert.is_true(#message < 500)
    assert.is_nil(message:find("%c"))
  end)

  it("closes its file, once or often", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 1100 do -- more than there may be open files
      local file <close> = weights.open "spec/fixtures/checkpoints/unsummed.pth"
      file:close()
      assert.matches("the file is closed", message_of(file.read, file, "weight"), 1, true)
      pcall(weights.open, "spec/fixtures/checkpoints/model.pth")
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)

  describe("takes wrappers off", function()
    local storages = { ["0"] = checkpoints.floats(1, 2, 3, 4) }

    -- A dictionary of one tensor of that name.
    local function state(name) return p.dict(p.str(name), p.tensor { shape = { 4 } }) end

    local function names(body, opts)
      temporary.write(folder, "x", checkpoints.zip(body, storages))
      local file <close> = weights.open(path, opts)
      return table.concat(file:names(), " ")
    end

    local function problem(body, opts) return complaint(checkpoints.zip(body, storages), opts) end

    local function single() return p.tensor { shape = {}, count = 4 } end

    it("of the usual names, one in another, beside what else there is", function()
      for _, name in ipairs { "state_dict", "model", "model_state_dict", "net", "model_state", "network", "module",
        "weights", "params" } do
        assert.equal("a", names(p.dict(p.str "epoch", p.int(3), p.str(name), state "a", p.str "acc", single())))
      end
      assert.equal("a", names(p.dict(p.str "model", p.dict(p.str "state_dict", state "a"))))
      assert.equal("a", names(p.dict(p.str "checkpoint", p.dict(p.str "model", state "a", p.str "epoch", p.int(1)))))
      assert.equal("a", names(p.dict(p.str "model", state "a", p.str "optimizer", p.dict(p.str "state",
        p.dict(p.int(0), p.dict(p.str "exp_avg", p.tensor { shape = { 4 } }))))))
      assert.equal("a", names(p.call("collections", "OrderedDict", p.list(p.list(p.str "state_dict", state "a")))))
    end)

    it("but not where there are none, whatever the tensors are called", function()
      assert.equal("a", names(state "a"))
      assert.equal("model", names(state "model"))
      assert.equal("model.a step", names(p.dict(p.str "model.a", p.tensor { shape = { 4 } }, p.str "step", single(),
        p.str "_extra_state", p.dict(p.str "x", p.int(1)), p.int(7), p.tensor { shape = { 4 } })))
      assert.equal("a", names(p.dict(p.str "a", single())))
    end)

    it("of unusual names, when there is only one", function()
      assert.equal("a", names(p.dict(p.str "my_net", state "a", p.str "acc", single(), p.str "epoch", p.int(1))))
      assert.equal("a", names(p.dict(p.str "model_ema", state "a", p.str "epoch", p.int(1))))
    end)

    it("and never takes an average of weights, or one of several, by itself", function()
      local ema = p.dict(p.str "model_ema", state "b", p.str "model", state "a")
      assert.equal("a", names(ema))
      assert.equal("a", names(p.dict(p.str "net_ema", state "b", p.str "my", state "a")))
      assert.equal("b", names(ema, { key = "model_ema" }))
      assert.equal("b", names(p.dict(p.str "x", p.dict(p.str "ema", state "b"), p.str "model", state "a"),
        { key = "x.ema" }))
      assert.equal("it holds several dictionaries of tensors, 'student', 'teacher'; choose one of them with key",
        problem(p.dict(p.str "teacher", state "b", p.str "student", state "a")))
      assert.equal("it holds several dictionaries of tensors, 'model', 'state_dict'; choose one of them with key",
        problem(p.dict(p.str "state_dict", state "b", p.str "model", state "a")))
      -- the same one twice
      assert.equal("a", names(p.dict(p.str "state_dict", state "a" .. "q\5", p.str "model", "h\5")))
      assert.equal("key: expected a dictionary in the file, got 'ema', where there are 'model', 'model_ema'",
        problem(ema, { key = "ema" }))
      assert.equal("key: expected a dictionary in the file, got 'model.a.x', where there are 'a'",
        problem(ema, { key = "model.a.x" }))
      safetensors.save(folder .. "/y", { a = core.tensor { 1 } })
      assert.equal(("'%s/y': key: a safetensors file holds no dictionaries to choose from"):format(folder),
        message_of(weights.open, folder .. "/y", { key = "model" }))
    end)

    it("and says what it got where there are no tensors by name", function()
      assert.equal("it holds no tensors under names", problem(p.dict()))
      assert.equal("it holds no tensors under names", problem(p.dict(p.int(1), p.tensor { shape = { 4 } })))
      assert.equal("it holds no tensors under names, but 'a' (a dict); key = 'a', or dots as in 'a.x', would "
        .. "look further in",
        problem(p.dict(p.str "a", p.dict(p.str "b", p.dict(p.str "c", p.dict(p.str "d", state "a"))))))
      local array = p.call("numpy.core.multiarray", "_reconstruct", p.none)
      local many = { p.str "a", array }
      for name in ("bcdefg"):gmatch "." do table.move({ p.str(name), p.int(2) }, 1, 2, #many + 1, many) end
      assert.equal("it holds no tensors under names, but 'a' (numpy.core.multiarray._reconstruct), 'b' (2), "
        .. "'c' (2), 'd' (2), 'e' (2), 'f' (2), and 1 more", problem(p.dict(table.unpack(many))))
      assert.equal("expected a dictionary of tensors (a state_dict), got a tensor", problem(p.tensor { shape = { 4 } }))
      assert.equal("expected a dictionary of tensors (a state_dict), got a list", problem(p.list(state "a")))
      assert.equal("expected a dictionary of tensors (a state_dict), got 'x'", problem(p.str "x"))
      assert.equal("expected a dictionary of tensors (a state_dict), got None", problem(p.none))
    end)

    it("of dictionaries that contain themselves", function()
      local own = "}q\5" .. p.str "model" .. "h\5s"
      assert.matches("^it holds no tensors under names, but 'model' %(a dict%)", problem(own))
      assert.equal("a", names(own .. p.str "a" .. p.tensor { shape = { 4 } } .. "s"))
      local knot = own -- every wrapper holds all
      for _, name in ipairs { "state_dict", "model_state_dict", "net", "network", "weights", "x", "y" } do
        knot = knot .. p.str(name) .. "h\5s"
      end
      assert.matches("^it holds no tensors under names, but 'model' %(a dict%)", problem(knot))
    end)
  end)
end)
