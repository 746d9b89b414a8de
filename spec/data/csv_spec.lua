local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local function with(more)
  local opts = { size = 8, quiet = true }
  for key, value in pairs(more) do opts[key] = value end
  return opts
end

-- Name -> label of all splits.
local function labels_of(set)
  local found = {}
  for _, split in ipairs { "train", "val", "test" } do
    for i, name in ipairs(set[split].names) do found[name] = set[split].labels[i] end
  end
  return found
end

describe("data.csv", function()
  local root, path

  before_each(function()
    root = temporary.folder()
    path = root .. "/table.csv"
    for i = 1, 12 do pictures.save(root, ("images/%02d.png"):format(i), i / 13) end
  end)
  after_each(function() assert(files.remove(root)) end)

  -- A table of a header and a line for each of 12 images, made by a function of the number.
  local function write(header, line)
    local lines = { header }
    for i = 1, 12 do lines[i + 1] = line(i) end
    temporary.write(root, "table.csv", table.concat(lines, "\r\n"))
  end

  local function fails(opts, message)
    assert.equal("csv: " .. message, errors.inside(function() data.csv(path, with(opts)) end))
  end

  it("takes a column of files and one of classes, in any layout", function()
    write("\u{feff}diagnosis;\"image\";;", function(i) return ("%d;images/%02d.png;;"):format(i % 3 * 5, i) end)
    local set = data.csv(path, with { file = "image", label = "diagnosis" })
    assert.same({ "0", "5", "10" }, set.classes)
    assert.equal("csv", set.name)
    assert.equal(path, set.title)
    local labels = labels_of(set)
    for i = 1, 12 do assert.equal(i % 3 + 1, labels[("images/%02d.png"):format(i)]) end
    assert.equal(12, set.train:count() + set.val:count() + set.test:count())
    set = data.csv(path, with { file = "image", label = "diagnosis", classes = { high = { "5", "10" }, low = "0" } })
    assert.same({ "high", "low" }, set.classes)
  end)

  it("refuses more findings than any set has, and is not held up by space", function()
    local names = {}
    for k = 1, 68000 do names[k] = "f" .. k end
    local lines = { "file,list", "images/01.png," .. table.concat(names, "|") }
    for k = 1, 999 do lines[k + 2] = ("images/%02d.png,f1"):format(k % 11 + 2) end
    temporary.write(root, "table.csv", table.concat(lines, "\n"))
    fails({ label = "list", label_separator = "|" }, path .. ": column 'list': expected at most 67108864 values, got "
      .. "68000 findings of 1000 lines: does '|' separate findings?")
    local wide = "a" .. (" "):rep(1 << 20) .. "b"
    write("file,list", function(i) return ("images/%02d.png,%s| c "):format(i, i == 1 and wide or "d") end)
    assert.same({ wide, "c", "d" }, data.csv(path, with { label = "list", label_separator = "|" }).classes)
  end)

  it("honours a column of splits, and groups", function()
    write("file\tlabel\tsplit\tpatient", function(i)
      local split = i > 8 and "Test" or "training"
      return ("images\\%02d.png\t%s\t%s\tp%d"):format(i, i % 2 == 0 and "a" or "b", split, i // 2)
    end)
    local set
    local opts = { size = 8, group = "patient", on_duplicate = "drop" }
    local text = stderr.text(function() set = data.csv(path, opts) end)
    assert.matches("table.csv has no val: it is split off of train", text, 1, true)
    assert.same({ "images/09.png", "images/10.png", "images/11.png", "images/12.png" }, set.test.names)
    assert.equal("p4", set.test.groups[1])
    local seen = {}
    for _, group in ipairs(set.val.groups) do seen[group] = true end
    for _, group in ipairs(set.train.groups) do assert.is_nil(seen[group]) end
    set = data.csv(path, with { split = false, group = "patient" })
    assert.equal(12, set.train:count() + set.val:count() + set.test:count())
    assert.equal(2, set.test:count()) -- whole groups
  end)

  it("finds files without their ending, or in other folders", function()
    pictures.save(root, "images/deep/13.png")
    write("file,label", function(i) return ("%02d,%s"):format(i, i % 2 == 0 and "a" or "b") end)
    local content = assert(files.read_all(path))
    temporary.write(root, "table.csv", content .. "\r\nSET/images/01.png,b\r\ngone,a\r\ndeep/13,a\r\n")
    local set
    local text = stderr.text(function() set = data.csv(path, { size = 8 }) end)
    local labels = labels_of(set)
    assert.equal(2, labels["images/01.png"])
    assert.equal(1, labels["images/deep/13.png"])
    assert.matches("skipped 1 of 14 files:\n  " .. root .. "/gone: ", text, 1, true)
    assert.matches("files found by their names in other folders than written: 14 (", text, 1, true)
    assert.matches("lines that repeat another: 1", text, 1, true)
    temporary.write(root, "other/01.jpg", "x")
    fails({}, path .. ":2: column 'file': '01' may be 'images/01.png' or 'other/01.jpg'")
    temporary.write(root, "other/01.png", "x")
    temporary.write(root, "table.csv", "file,label\nother/01,a\nimages/02,b\nimages/03,b\n")
    fails({}, path .. ":2: column 'file': 'other/01' may be 'other/01.jpg' or 'other/01.png'")
  end)

  it("says which files lie elsewhere, and takes none for two that are not there", function()
    write("file,label", function(i) return ("C:\\data\\images\\%02d.png,%s"):format(i, i % 2 == 0 and "a" or "b") end)
    local set
    local text = stderr.text(function() set = data.csv(path, { size = 8 }) end)
    assert.equal(12, set.train:count() + set.val:count() + set.test:count())
    assert.matches("other folders than written: 12 ('C:\\data\\images\\01.png' is 'images/01.png')", text, 1, true)
    pictures.save(root, "patient7/image1.png")
    local content = assert(files.read_all(path))
    temporary.write(root, "table.csv", content .. "\r\npatient1/image1.png,a\r\npatient2/image1.png,a\r\n"
      .. "patient7/image1.png,b\r\n")
    text = stderr.text(function() set = data.csv(path, { size = 8 }) end)
    assert.matches("skipped 2 of 15 files:\n  " .. root .. "/patient1/image1.png: ", text, 1, true)
    assert.is_nil(text:find("repeat", 1, true))
    assert.equal(2, labels_of(set)["patient7/image1.png"])
    local inner = temporary.write(root, "images/inner.csv", "file,label\n"
      .. ("images/01.png,a;images/02.png,a;images/03.png,a;images/04.png,b;images/05.png,b;images/06.png,b;"):gsub(";",
        "\n"))
    assert.is_nil(stderr.text(function() data.csv(inner, { size = 8 }) end):find("written", 1, true))
  end)

  it("says how many images have no group, and lumps none of them together", function()
    write("file,label,patient", function(i)
      return ("images/%02d.png,%s,%s"):format(i, i % 2 == 0 and "a" or "b", i < 5 and "p" .. i // 3 or i < 9 and "nan"
        or "")
    end)
    local set, groups = data.csv(path, with { group = "patient", on_duplicate = "ignore" }), {}
    assert.same({ "group = 'patient': images without one in that column, each a group of its own: 8 of 12" },
      { set.notes[1] })
    for _, split in ipairs { "train", "val", "test" } do
      for _, group in ipairs(set[split].groups) do groups[group] = true end
    end
    assert.same({ p0 = true, p1 = true, [false] = true }, groups)
  end)

  it("takes nan, as pandas writes what is missing, for a blank", function()
    write("file,label,Edema,list", function(i)
      local blank = i == 12
      return ("images/%02d.png,%s,%s,%s"):format(i, blank and "nan" or i % 2 == 0 and "a" or "b",
        blank and "NaN" or i % 2, blank and "nan" or i % 2 == 0 and "X" or "X|Y")
    end)
    assert.same({ "a", "b" }, data.csv(path, with {}).classes)
    local set = data.csv(path, with { label = "Edema" })
    assert.same({ "no Edema", "Edema" }, set.classes)
    assert.same({ "left out for want of a label: 1 lines" }, set.notes)
    assert.same({ "X", "Y" }, data.csv(path, with { label = "list", label_separator = "|" }).classes)
  end)

  it("makes two classes of a column of yes and no", function()
    local words = { [0] = "0", "1.0", "", "true", "False", "-1.0" }
    write("file,Pneumonia", function(i) return ("images/%02d.png,%s"):format(i, words[i % 6]) end)
    local set
    local text = stderr.text(function() set = data.csv(path, { size = 8, label = "Pneumonia",
      splits = { train = 0.5, val = 0.25, test = 0.25 } }) end)
    assert.same({ "no Pneumonia", "Pneumonia" }, set.classes)
    assert.equal(("csv: %s: left out for want of a label: 4 lines\n"):format(path), text)
    local labels = labels_of(set)
    assert.equal(1, labels["images/06.png"])
    assert.equal(2, labels["images/01.png"])
    assert.is_nil(labels["images/02.png"])
    local splits = { train = 0.5, val = 0.25, test = 0.25 }
    labels = labels_of(data.csv(path, with { label = { "Pneumonia" }, unknown = "positive", splits = splits }))
    assert.equal(2, labels["images/02.png"])
    labels = labels_of(data.csv(path, with { label = "Pneumonia", unknown = "negative", splits = splits }))
    assert.equal(1, labels["images/02.png"])
    write("file,label", function(i) return ("images/%02d.png,%d"):format(i, i % 2) end)
    assert.same({ "0", "1" }, data.csv(path, with {}).classes)
  end)

  it("says what is missing of findings, and what was left out where nothing is left", function()
    write("file,Edema,Mass", function(i) return ("images/%02d.png,%d,0"):format(i, i % 2) end)
    fails({ label = { "Edema", "Mass" } },
      path .. ": finding 'Mass': expected images that have it in the train split, found none")
    write("file,Edema,Mass", function(i) return ("images/%02d.png,-1,"):format(i) end)
    fails({ label = { "Edema", "Mass" } },
      path .. ": expected images, found none (left out for want of a label: 12 lines)")
  end)

  it("makes findings of several columns", function()
    write("file,Edema,Mass", function(i)
      local mass = i == 3 and "" or i == 4 and "-1" or i % 3 // 2
      return ("images/%02d.png,%s,%s"):format(i, i % 2 == 0 and "1" or "0", mass)
    end)
    local set = data.csv(path, with { label = { "Edema", "Mass" } })
    assert.is_true(set.multi_label)
    assert.same({ "Edema", "Mass" }, set.classes)
    local labels = labels_of(set)
    assert.same({ 0, 1 }, labels["images/05.png"])
    assert.same({ 0, -1 }, labels["images/03.png"])
    assert.same({ 1, -1 }, labels["images/04.png"])
    local _, y = set.train:batch { 1, 2 }
    assert.same({ 2, 2 }, y:shape())
    assert.same({ 1, 1 }, labels_of(data.csv(path, with { label = { "Edema", "Mass" }, unknown = "positive" }))
      ["images/04.png"])
    set = data.csv(path, with { label = { "Edema", "Mass" }, classes = { "Mass", "Edema" } })
    assert.same({ -1, 1 }, labels_of(set)["images/04.png"])
    local text = stderr.text(function()
      set = data.csv(path, { size = 8, label = { "Edema", "Mass" }, classes = { Any = { "Edema", "Mass" } } })
    end)
    assert.equal(("csv: %s: images left out of which 'Any' is unknown: 1\n"):format(path), text)
    assert.same({ "no Any", "Any" }, set.classes)
    assert.is_nil(set.multi_label)
    assert.equal(2, labels_of(set)["images/04.png"])
    assert.equal(1, labels_of(set)["images/01.png"])
    assert.is_nil(labels_of(set)["images/03.png"])
    write("file,Edema,Mass", function(i) return ("images/%02d.png,%s,%s"):format(i, "u", 1) end)
    fails({ label = { "Edema", "Mass" } },
      path .. ":2: column 'Edema': expected 1, 0, true, false, -1 or nothing, got 'u'")
  end)

  it("makes classes of columns of which each image has one", function()
    write("image,MEL,NV,BCC", function(i)
      return ("images/%02d,%s,%s,%s"):format(i, i % 3 == 0 and "1.0" or "0.0", i % 3 == 1 and "1.0" or "0.0",
        i % 3 == 2 and "1.0" or "0.0")
    end)
    local columns = { "MEL", "NV", "BCC" }
    local text = stderr.text(function() data.csv(path, { size = 8, file = "image", label = columns }) end)
    assert.matches("each image has exactly one of these findings: exclusive = true makes classes of them", text, 1,
      true)
    local set = data.csv(path, with { file = "image", label = columns, exclusive = true })
    assert.same(columns, set.classes)
    assert.is_nil(set.multi_label)
    assert.equal(2, labels_of(set)["images/01.png"])
    write("image,MEL,NV,BCC", function(i) return ("images/%02d,1,%s,0"):format(i, i == 7 and "1" or "0") end)
    fails({ file = "image", label = columns, exclusive = true },
      path .. ":8: exclusive: expected exactly one 1 in the columns MEL, NV, BCC (label names all columns of "
        .. "classes, classes = { … } those to use)")
  end)

  it("makes findings of a separator in one column", function()
    local cells = { "Mass", "No Finding", "Edema|Mass", "Edema | Nodule", "" }
    write("Image Index,Finding Labels", function(i) return ("%02d.png,%s"):format(i, cells[(i - 1) % 5 + 1]) end)
    local opts = { file = "Image Index", label = "Finding Labels", label_separator = "|" }
    local set = data.csv(path, with(opts))
    assert.same({ "Edema", "Mass", "Nodule" }, set.classes)
    local labels = labels_of(set)
    assert.same({ 1, 0, 1 }, labels["images/04.png"])
    assert.same({ 0, 0, 0 }, labels["images/02.png"])
    assert.is_nil(labels["images/05.png"])
    opts.unknown = "negative"
    assert.same({ 0, 0, 0 }, labels_of(data.csv(path, with(opts)))["images/05.png"])
    opts.label_separator = ";"
    local notes = data.csv(path, with(opts)).notes
    assert.matches("label_separator = ';' is in no cell of the column 'Finding Labels': no image has two findings",
      table.concat(notes, "\n"), 1, true)
    opts.label_separator = "|"
    write("Image Index,Finding Labels", function(i) return ("%02d.png,Mass|No Finding"):format(i) end)
    fails(opts, path .. ":2: column 'Finding Labels': expected 'No Finding' alone, got 'Mass|No Finding'")
  end)

  it("says what is wrong, with the line and the column", function()
    assert.equal(("csv: path: expected a table (.csv), got '%s' (a folder)"):format(root),
      errors.inside(function() data.csv(root) end))
    write("file,label", function(i) return ("images/%02d.png,%s"):format(i, i % 2) end)
    fails({ label = "dx" }, path .. ": no column 'dx'; its columns are: 'file', 'label' (the options file, label, "
      .. "split and group name columns)")
    fails({ split = "fold" }, path .. ": no column 'fold'; its columns are: 'file', 'label' (the options file, label, "
      .. "split and group name columns)")
    fails({ split = true }, path .. ": no column 'split'")
    fails({ root = root .. "/none" }, ("root: expected a folder, got '%s/none'"):format(root))
    fails({ label = { "file", "file" } },
      "label: expected a column's name, or a list of names, each once, got { 'file', 'file' }")
    fails({ separator = "||" }, "separator: expected one byte, not a quote or the end of a line, got '||'")
    fails({ label = { "file", "label" }, label_separator = "|" },
      "label_separator: expected label to be one column, got 2")
    temporary.write(root, "table.csv", "file,label,split\nimages/01.png,a,later\n")
    fails({}, path .. ":2: column 'split': expected train, val or test, got 'later'")
    temporary.write(root, "table.csv", "file,label\n,a\n")
    fails({}, path .. ":2: column 'file': expected a file's name, got ''")
    temporary.write(root, "table.csv", "file,label\nimages/01.png,a\nimages/01.png,b\n")
    fails({}, path .. ":3: file 'images/01.png' is already in line 2, with another label, split or group")
    temporary.write(root, "table.csv", "file,label\nimages/01.png,a\nimages/02.png,a\n")
    fails({}, path .. ": column 'label': expected at least 2 classes, found only 'a'")
    temporary.write(root, "table.csv", "file,label\n")
    fails({}, path .. ": expected a line per image, found none")
    temporary.write(root, "table.csv", "file,label\nimages/01.png,\xe9\nimages/02.png,a\n")
    assert.matches("class '\\xE9': expected UTF-8", errors.inside(function() data.csv(path, with {}) end), 1, true)
  end)
end)

describe("data.open", function()
  local root

  before_each(function()
    root = temporary.folder()
    for _, class in ipairs { "COVID", "NORMAL", "PNEUMONIA" } do
      for i = 1, 4 do pictures.save(root, ("set/%s/%d.png"):format(class, i), i / 5) end
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  it("takes a folder, a table, or a kind before a path", function()
    local opts = { size = 8, quiet = true }
    assert.equal("folder", data.open(root .. "/set", opts).name)
    assert.equal("cpn", data.open("cpn:" .. root, opts).name)
    local path = temporary.write(root, "list.csv", "file,label\nset/COVID/1,a\nset/COVID/2,a\nset/COVID/3,a\n"
      .. "set/NORMAL/1,b\nset/NORMAL/2,b\nset/NORMAL/3,b\n")
    assert.same({ "a", "b" }, data.open(path, opts).classes)
    assert.equal("csv", data.open("csv:" .. path, opts).name)
  end)

  it("takes options behind the path, before those of the program", function()
    local path = temporary.write(root, "list.csv", "Image Index,Finding Labels\nset/COVID/1,a|b\nset/COVID/2,a\n"
      .. "set/COVID/3,b\nset/NORMAL/1,No Finding\nset/NORMAL/2,b\nset/NORMAL/3,a\n")
    local opts = { size = 8, quiet = true, splits = { train = 1 } }
    local line = path .. "?file=Image Index&label=Finding Labels&label_separator=|"
    local set = data.open(line, opts)
    assert.is_true(set.multi_label)
    assert.same({ "a", "b" }, set.classes)
    assert.equal(16, data.open(line .. "&size=16", opts).size)
    assert.same({ "NORMAL", "COVID" }, data.open(root .. "/set?classes=NORMAL,COVID&on_duplicate=ignore", opts).classes)
    assert.matches("open: path: expected options as key=value with & between them, got 'x'",
      errors.text(data.open, path .. "?size=8&x"), 1, true)
    assert.matches("folder: unknown option 'sise'", errors.text(data.open, root .. "/set?sise=8"), 1, true)
    pictures.save(root, "odd?a=b/x/1.png", 0.5) -- a name, and no option
    assert.matches("expected at least 2 classes", errors.text(data.open, root .. "/odd?a=b", opts))
    local said = stderr.text(function()
      data.open(path .. "?file=Image Index&label=Finding Labels", { size = 8, splits = { train = 1 },
        on_duplicate = "ignore" })
    end)
    assert.matches("took 'a|b' as a class of its own; label_separator = '|' makes several findings", said, 1, true)
  end)

  it("says what it takes", function()
    local function message(...)
      local list = { ... }
      return errors.inside(function() data.open(table.unpack(list)) end)
    end
    assert.equal("open: path: missing", message())
    assert.matches("open: path: expected a folder, a .npz, a .csv or kind:path (kinds: folder, csv, medmnist, cpn, "
      .. "fetal, kvasir, mura), got '/none' (there is none)", message "/none", 1, true)
    assert.matches("open: path: unknown kind 'cnp', expected one of folder, csv, ", message("cnp:" .. root), 1, true)
    assert.matches("folder: unknown option 'sise'", message(root, { sise = 1 }), 1, true)
    assert.matches("medmnist: path: expected an npz file", message(root .. "/none.npz"), 1, true)
  end)
end)
