// The module secateur/dicom.so: parses and decompresses DICOM files with DCMTK, behind the C interface of
// image/dicom.h. No exception leaves this file, and the library's loggers are off: what is wrong is said in the status.
#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dccodec.h>
#include <dcmtk/dcmdata/dcistrma.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

extern "C" {
#include "image/dicom.h"
#ifdef SC_HAVE_OPENJPEG
#include "codec/jpeg2000.h"
#endif
}

struct sc_dicom_file {
    sc_codec_input input; // outlives the values that are still to be read
    DcmFileFormat format;
    std::vector<Uint16> tables[5]; // modality, VOI, three of the palette
    OFString patient, study, series;
    std::vector<Uint8> decoded; // what JPEG 2000 gave
};

namespace {

// Of a JPEG in a DICOM file, which holds one frame: encoders write one to ten, libtiff allows as many.
constexpr int max_scans = 100;

// DCMTK's loggers and codecs belong to the whole process; they are switched once, before the first file.
void prepare_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        DJDecoderRegistration::registerCodecs(EDC_photometricInterpretation, EUC_default, EPC_colorByPixel);
        DJLSDecoderRegistration::registerCodecs(EJLSUC_default, EJLSPC_colorByPixel);
        DcmRLEDecoderRegistration::registerCodecs();
    });
}

sc_status damaged(sc_error *error, const char *reason) {
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged DICOM file: %s", reason);
}

// Runs a function that may throw.
template <typename Function> sc_status guarded(sc_error *error, Function function) {
    try {
        return function();
    } catch (const std::bad_alloc &) {
        return sc_error_set(error, SC_ERROR_MEMORY, "out of memory while reading a DICOM file");
    } catch (...) {
        return damaged(error, "the library gave up");
    }
}

// The attributes of an enhanced single frame stand in its functional groups, those of other files in the data set
// itself.
class Attributes {
  public:
    explicit Attributes(DcmDataset &data) : data_(data), deep_(data.tagExists(DCM_SharedFunctionalGroupsSequence)) {}

    bool number(const DcmTagKey &tag, double *out) const {
        Float64 value;
        if (data_.findAndGetFloat64(tag, value, 0, deep_).bad())
            return false;
        *out = value;
        return true;
    }
    unsigned short_integer(const DcmTagKey &tag, unsigned fallback) const {
        Uint16 value;
        return data_.findAndGetUint16(tag, value).good() ? value : fallback;
    }
    size_t frames() const {
        Sint32 value;
        if (!data_.tagExistsWithValue(DCM_NumberOfFrames))
            return 1;
        return data_.findAndGetSint32(DCM_NumberOfFrames, value).good() && value > 0 ? static_cast<size_t>(value) : 0;
    }
    OFString text(const DcmTagKey &tag) const {
        OFString value;
        return data_.findAndGetOFString(tag, value, 0, deep_).good() ? value : OFString();
    }
    DcmItem *item(const DcmTagKey &sequence) const {
        DcmItem *found = nullptr;
        return data_.findAndGetSequenceItem(sequence, found, 0).good() ? found : nullptr;
    }
    DcmDataset &data() const {
        return data_;
    }

  private:
    DcmDataset &data_;
    OFBool deep_;
};

void copy_text(char *out, size_t size, const OFString &text) {
    size_t length = text.length() < size ? text.length() : size - 1;
    std::memcpy(out, text.c_str(), length);
    out[length] = 0;
}

// Descriptors are of type US or SS, as the pixels are.
bool read_descriptor(DcmItem &item, const DcmTagKey &tag, long out[3]) {
    DcmElement *element = nullptr;
    if (item.findAndGetElement(tag, element).bad())
        return false;
    for (unsigned long i = 0; i < 3; i++) {
        Uint16 plain;
        Sint16 with_sign;
        if (element->getUint16(plain, i).good())
            out[i] = plain;
        else if (element->getSint16(with_sign, i).good())
            out[i] = with_sign;
        else
            return false;
    }
    return true;
}

// Leaves the table absent where it is incomplete.
void read_table(sc_dicom_lut *out, std::vector<Uint16> &kept, DcmItem *item, const DcmTagKey &descriptor,
                const DcmTagKey &data, bool is_signed) {
    long numbers[3];
    const Uint16 *words = nullptr;
    unsigned long count = 0;
    *out = sc_dicom_lut{};
    if (!item || !read_descriptor(*item, descriptor, numbers) ||
        item->findAndGetUint16Array(data, words, &count).bad() || !words || count == 0)
        return;
    size_t entries = numbers[0] == 0 ? 65536 : static_cast<size_t>(numbers[0] & 0xffff);
    bool packed = (numbers[2] & 0xffff) <= 8 && count < entries;
    if (numbers[2] < 1 || numbers[2] > 16 || (packed ? 2 * count : count) < entries)
        return;
    kept.assign(words, words + count);
    out->data = kept.data();
    out->words = count;
    out->count = entries;
    out->first = static_cast<int32_t>(is_signed && numbers[1] > 32767 ? numbers[1] - 65536 : numbers[1]);
    out->bits = static_cast<unsigned>(numbers[2]);
}

sc_dicom_photometric photometric_of(const OFString &name) {
    static const struct {
        const char *name;
        sc_dicom_photometric value;
    } known[] = {
        {"MONOCHROME1", SC_DICOM_MONOCHROME1},
        {"MONOCHROME2", SC_DICOM_MONOCHROME2},
        {"PALETTE COLOR", SC_DICOM_PALETTE},
        {"RGB", SC_DICOM_RGB},
        {"YBR_RCT", SC_DICOM_RGB}, // JPEG 2000 undoes these two itself
        {"YBR_ICT", SC_DICOM_RGB},
        {"YBR_FULL", SC_DICOM_YBR_FULL},
        {"YBR_FULL_422", SC_DICOM_YBR_FULL_422},
    };
    for (const auto &row : known)
        if (name == row.name)
            return row.value;
    return SC_DICOM_OTHER;
}

void read_tables(sc_dicom_file *file, sc_dicom_info *info, const Attributes &of) {
    static const DcmTagKey descriptors[] = {DCM_RedPaletteColorLookupTableDescriptor,
                                            DCM_GreenPaletteColorLookupTableDescriptor,
                                            DCM_BluePaletteColorLookupTableDescriptor};
    static const DcmTagKey data[] = {DCM_RedPaletteColorLookupTableData, DCM_GreenPaletteColorLookupTableData,
                                     DCM_BluePaletteColorLookupTableData};
    // the first value of a VOI table is one of the modality transformation's, which may be negative (PS3.3 C.11.2.1.1)
    bool below_zero = info->is_signed || info->intercept < 0;
    read_table(&info->modality, file->tables[0], of.item(DCM_ModalityLUTSequence), DCM_LUTDescriptor, DCM_LUTData,
               info->is_signed);
    read_table(&info->voi, file->tables[1], of.item(DCM_VOILUTSequence), DCM_LUTDescriptor, DCM_LUTData, below_zero);
    for (size_t c = 0; info->photometric == SC_DICOM_PALETTE && c < 3; c++)
        read_table(&info->palette[c], file->tables[2 + c], &of.data(), descriptors[c], data[c], info->is_signed);
}

sc_status read_info(sc_dicom_file *file, sc_dicom_info *info, sc_error *error) {
    Attributes of(*file->format.getDataset());
    OFString name = of.text(DCM_PhotometricInterpretation), function = of.text(DCM_VOILUTFunction);
    *info = sc_dicom_info{};
    info->rows = of.short_integer(DCM_Rows, 0);
    info->columns = of.short_integer(DCM_Columns, 0);
    info->frames = of.frames();
    info->samples = of.short_integer(DCM_SamplesPerPixel, 1);
    info->bits_allocated = of.short_integer(DCM_BitsAllocated, 0);
    info->bits_stored = of.short_integer(DCM_BitsStored, info->bits_allocated);
    info->high_bit = of.short_integer(DCM_HighBit, info->bits_stored - 1);
    info->is_signed = of.short_integer(DCM_PixelRepresentation, 0) == 1;
    info->is_planar = of.short_integer(DCM_PlanarConfiguration, 0) == 1;
    info->photometric = photometric_of(name);
    copy_text(info->photometric_name, sizeof info->photometric_name, name);
    info->slope = 1;
    bool has_slope = of.number(DCM_RescaleSlope, &info->slope);
    if (of.number(DCM_RescaleIntercept, &info->intercept) != has_slope)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "DICOM: one of RescaleSlope and RescaleIntercept without the other");
    bool has_centre = of.number(DCM_WindowCenter, &info->centre), has_width = of.number(DCM_WindowWidth, &info->width);
    info->has_window = has_centre && has_width;
    copy_text(info->window_function, sizeof info->window_function, function.empty() ? OFString("LINEAR") : function);
    read_tables(file, info, of);
    file->patient = of.text(DCM_PatientID);
    file->study = of.text(DCM_StudyInstanceUID);
    file->series = of.text(DCM_SeriesInstanceUID);
    info->patient = file->patient.empty() ? nullptr : file->patient.c_str();
    info->study = file->study.empty() ? nullptr : file->study.c_str();
    info->series = file->series.empty() ? nullptr : file->series.c_str();
    return SC_OK;
}

// Where DCMTK reads from. Sequences lie in each other as deep as a file says, and the library goes down with them by
// recursion: what comes too near the end of the stack is cut off here, since every level reads.
class Producer : public DcmProducer {
  public:
    explicit Producer(const sc_codec_input &input, size_t at = 0) : input_(input), top_(stack_position()), at_(at) {}

    bool too_deep() const {
        return too_deep_;
    }
    size_t position() const {
        return at_;
    }
    const sc_codec_input &input() const {
        return input_;
    }
    OFBool good() const override {
        return !too_deep_ && !interrupted_;
    }
    OFCondition status() const override {
        return too_deep_ || interrupted_ ? EC_InvalidStream : EC_Normal;
    }
    OFBool eos() override {
        return at_ >= input_.length;
    }
    // Whether to go on. To be asked at every level of sequences.
    bool check() {
        interrupted_ = interrupted_ || input_.check_interrupt(nullptr) != SC_OK;
        too_deep_ = too_deep_ || top_ - stack_position() > max_stack || stack_position() - top_ > max_stack;
        return !too_deep_ && !interrupted_;
    }
    offile_off_t avail() override {
        return check() ? static_cast<offile_off_t>(input_.length - at_) : 0;
    }
    offile_off_t read(void *buffer, offile_off_t count) override {
        size_t done = 0, wanted = avail() > 0 && count > 0 ? static_cast<size_t>(count) : 0;
        while (done < wanted && at_ < input_.length) {
            if (at_ < ahead_at_ || at_ >= ahead_at_ + ahead_count_) { // elements are read by a few bytes each
                ahead_at_ = at_;
                ahead_count_ = input_.read(input_.bytes, at_, ahead_, sizeof ahead_);
                if (ahead_count_ == 0)
                    break;
            }
            size_t step = std::min(wanted - done, ahead_at_ + ahead_count_ - at_);
            std::memcpy(static_cast<unsigned char *>(buffer) + done, ahead_ + (at_ - ahead_at_), step);
            done += step;
            at_ += step;
        }
        return static_cast<offile_off_t>(done);
    }
    offile_off_t skip(offile_off_t count) override {
        size_t step = count > 0 ? std::min(static_cast<size_t>(count), input_.length - at_) : 0;
        at_ += step;
        return static_cast<offile_off_t>(step);
    }
    void putback(offile_off_t count) override {
        size_t step = count > 0 ? static_cast<size_t>(count) : 0;
        at_ -= std::min(step, at_);
    }

  private:
    static constexpr intptr_t max_stack = 96
                                          << 10; // a few hundred levels; the smallest stacks of threads are of 128 KiB

    static intptr_t stack_position() {
        return reinterpret_cast<intptr_t>(__builtin_frame_address(0));
    }

    const sc_codec_input &input_;
    intptr_t top_;
    size_t at_, ahead_at_ = 0, ahead_count_ = 0;
    bool too_deep_ = false, interrupted_ = false;
    unsigned char ahead_[4096];
};

// Large values are read when they are asked for: what an element claims to hold is not believed before the file is seen
// to be so long. Of a deflated file that cannot be seen, and all is read at once, up to a budget; what is unpacked
// ahead passes the producer by, so that every read asks it whether to go on.
class Stream : public DcmInputStream {
  public:
    explicit Stream(Producer *producer)
        : DcmInputStream(producer), producer_(producer),
          budget_(min_budget + budget_ratio * static_cast<uint64_t>(producer->input().length)) {}

    bool is_over_budget() const {
        return deflated_ && delivered_ > budget_;
    }
    bool has_too_many() const {
        return reads_ > max_reads;
    }
    OFBool good() const override {
        return !is_stopped() && DcmInputStream::good();
    }
    OFCondition status() const override {
        return is_stopped() ? EC_InvalidStream : DcmInputStream::status();
    }
    offile_off_t avail() override {
        return is_stopped() ? 0 : DcmInputStream::avail();
    }
    offile_off_t read(void *buffer, offile_off_t count) override {
        reads_++;
        if (count > 0 && count <= 8) // DCMTK looks at tags and lengths before it looks at whether they came
            std::memset(buffer, 0, static_cast<size_t>(count));
        if (!producer_->check() || is_stopped())
            return 0;
        if (deflated_ && count > 0)
            count = static_cast<offile_off_t>(std::min(static_cast<uint64_t>(count), budget_ - delivered_ + 1));
        offile_off_t got = DcmInputStream::read(buffer, count);
        delivered_ += got > 0 ? static_cast<uint64_t>(got) : 0;
        return got;
    }
    OFCondition installCompressionFilter(E_StreamCompression kind) override {
        deflated_ = true;
        return DcmInputStream::installCompressionFilter(kind);
    }
    DcmInputStreamFactory *newFactory() const override;

  private:
    static constexpr uint64_t min_budget = 64 << 20, budget_ratio = 100;
    static constexpr uint64_t max_reads = 1 << 21; // some 400,000 elements; a picture has hundreds

    bool is_stopped() const {
        return is_over_budget() || has_too_many() || !producer_->good();
    }

    Producer *producer_;
    uint64_t budget_, delivered_ = 0, reads_ = 0;
    bool deflated_ = false;
};

// A stream with a producer of its own.
class OwningStream : public Stream {
  public:
    explicit OwningStream(std::unique_ptr<Producer> producer) : Stream(producer.get()), owned_(std::move(producer)) {}

  private:
    std::unique_ptr<Producer> owned_;
};

// Where a value lies that has not been read. The input outlives the parsed file.
class Factory : public DcmInputStreamFactory {
  public:
    Factory(const sc_codec_input &input, size_t at) : input_(input), at_(at) {}
    DcmInputStream *create() const override {
        return new OwningStream(std::make_unique<Producer>(input_, at_));
    }
    DcmInputStreamFactory *clone() const override {
        return new Factory(*this);
    }
    DcmInputStreamFactoryType ident() const override {
        return DFT_DcmInputFileStreamFactory;
    }

  private:
    const sc_codec_input &input_;
    size_t at_;
};

DcmInputStreamFactory *Stream::newFactory() const {
    return deflated_ ? nullptr : new Factory(producer_->input(), producer_->position());
}

sc_status parse(sc_dicom_file *file, bool with_pixels, sc_error *error) {
    auto producer = std::make_unique<Producer>(file->input);
    Stream stream(producer.get());
    file->format.transferInit();
    OFCondition status = file->format.readUntilTag(stream, EXS_Unknown, EGL_noChange, DCM_MaxReadLength,
                                                   with_pixels ? DCM_UndefinedTagKey : DCM_PixelData);
    file->format.transferEnd();
    if (producer->too_deep())
        return damaged(error, "its sequences lie in each other too deep");
    if (stream.has_too_many())
        return damaged(error, "it has more elements than any picture needs");
    if (stream.is_over_budget())
        return damaged(error, "its deflated data unpack to more than a hundred times its size");
    if (status == EC_StreamNotifyClient) // an element claims more than there is
        return damaged(error, "truncated");
    return status.bad() ? damaged(error, status.text()) : SC_OK;
}

sc_status open_file(sc_dicom_file **out, sc_dicom_info *info, const sc_codec_input *input, bool with_pixels,
                    sc_error *error) {
    sc_dicom_file *file = nullptr;
    *out = nullptr;
    sc_status status = guarded(error, [&] {
        prepare_library();
        file = new sc_dicom_file;
        file->input = *input;
        sc_status parsed = parse(file, with_pixels, error);
        return parsed == SC_OK ? read_info(file, info, error) : parsed;
    });
    if (status == SC_OK)
        *out = file;
    else
        delete file;
    return status;
}

// The one frame's code stream, in as many pieces as it was stored in; the first item is the table of offsets.
sc_status join_fragments(std::vector<Uint8> &out, DcmPixelSequence &sequence, sc_error *error) {
    for (unsigned long i = 1; i < sequence.card(); i++) {
        DcmPixelItem *item = nullptr;
        Uint8 *data = nullptr;
        if (sequence.getItem(item, i).bad() || !item || item->getUint8Array(data).bad() || (!data && item->getLength()))
            return damaged(error, "its pixel data cannot be read");
        if (data)
            out.insert(out.end(), data, data + item->getLength());
    }
    return SC_OK;
}

sc_status decode_jpeg2000(sc_dicom_file *file, sc_dicom_info *info, DcmPixelData &pixels, const DcmXfer &syntax,
                          sc_error *error) {
#ifdef SC_HAVE_OPENJPEG
    DcmPixelSequence *sequence = nullptr;
    std::vector<Uint8> stream;
    if (pixels.getEncapsulatedRepresentation(syntax.getXfer(), nullptr, sequence).bad() || !sequence)
        return damaged(error, "its pixel data cannot be read");
    sc_status status = join_fragments(stream, *sequence, error);
    if (status != SC_OK)
        return status;
    file->decoded.resize(info->rows * info->columns * info->samples * (info->bits_allocated / 8));
    info->is_planar = false;
    return sc_jpeg2000_decode(file->decoded.data(), stream.data(), stream.size(), info, error);
#else
    (void)file, (void)info, (void)pixels, (void)syntax;
    return sc_error_set(error, SC_ERROR_FORMAT,
                        "DICOM: this build has no OpenJPEG for JPEG 2000; install libopenjp2-7-dev and run make again");
#endif
}

// Whether the frame header of a JPEG stream has the size that the file has; true where there is none, for the library
// to refuse. Of a smaller picture the library fills as much as there is, and leaves the rest as it found it.
bool is_as_large(const std::vector<Uint8> &stream, const sc_dicom_info &info) {
    size_t at = 2;
    while (at + 8 < stream.size() && stream[at] == 0xff) {
        Uint8 marker = stream[at + 1];
        bool is_frame = marker == 0xf7 || (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xcc);
        if (is_frame)
            return (stream[at + 5] << 8 | stream[at + 6]) == static_cast<int>(info.rows) &&
                   (stream[at + 7] << 8 | stream[at + 8]) == static_cast<int>(info.columns);
        at += marker == 0xff ? 1 : 2 + static_cast<size_t>(stream[at + 2] << 8 | stream[at + 3]);
    }
    return true;
}

// How many bytes a segment of run lengths (PS3.5, annex G) unpacks to.
size_t unpacked_size(const Uint8 *from, const Uint8 *end) {
    size_t size = 0;
    while (from < end) {
        size_t code = *from++;
        if (code < 128) {
            size_t literal = std::min(code + 1, static_cast<size_t>(end - from));
            size += literal;
            from += literal;
        } else if (code > 128 && from < end) {
            size += 257 - code;
            from++;
        }
    }
    return size;
}

// Of a segment that is too short the library leaves the rest of its pixels as memory had them. What else is wrong with
// the 16 numbers at the start, how many segments there are and where each begins, is for the library to refuse.
sc_status check_run_lengths(const std::vector<Uint8> &stream, const sc_dicom_info &info, sc_error *error) {
    auto number = [&stream](size_t i) {
        return static_cast<size_t>(stream[4 * i]) | static_cast<size_t>(stream[4 * i + 1]) << 8 |
               static_cast<size_t>(stream[4 * i + 2]) << 16 | static_cast<size_t>(stream[4 * i + 3]) << 24;
    };
    size_t count = stream.size() < 64 ? 0 : std::min<size_t>(number(0), 15);
    for (size_t i = 1; i <= count; i++) {
        size_t end = i < count ? number(i + 1) : stream.size();
        if (number(i) > end || end > stream.size() ||
            unpacked_size(stream.data() + number(i), stream.data() + end) < info.rows * info.columns)
            return damaged(error, "its run lengths end before its pixels do");
    }
    return SC_OK;
}

// A JPEG stream of very many scans keeps its decoder busy for hours, and that cannot be interrupted. Start-of-scan
// markers are two bytes that compressed data do not contain.
sc_status check_jpeg(const std::vector<Uint8> &stream, const sc_dicom_info &info, sc_error *error) {
    if (!is_as_large(stream, info))
        return damaged(error, "its JPEG stream is of another size than its Rows and Columns");
    int scans = 0;
    for (size_t i = 1; i < stream.size(); i++)
        if (stream[i - 1] == 0xff && stream[i] == 0xda && ++scans > max_scans)
            return sc_error_set(error, SC_ERROR_FORMAT, "a damaged DICOM file: its JPEG stream has more than %d scans",
                                max_scans);
    return SC_OK;
}

// What the library takes on trust of compressed pixels.
sc_status check_compressed(DcmPixelData &pixels, const DcmXfer &syntax, const sc_dicom_info &info, sc_error *error) {
    DcmPixelSequence *sequence = nullptr;
    std::vector<Uint8> stream;
    if (pixels.getEncapsulatedRepresentation(syntax.getXfer(), nullptr, sequence).bad() || !sequence)
        return SC_OK; // for the library to refuse
    sc_status status = join_fragments(stream, *sequence, error);
    if (status != SC_OK)
        return status;
    return syntax.getXfer() == EXS_RLELossless ? check_run_lengths(stream, info, error)
                                               : check_jpeg(stream, info, error);
}

sc_status read_plain(sc_dicom_file *file, sc_dicom_info *info, const void **data, size_t *bytes, sc_error *error) {
    DcmDataset *set = file->format.getDataset();
    unsigned long count = 0;
    if (set->chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad())
        return damaged(error, "its pixel data cannot be decompressed");
    sc_status status = read_info(file, info, error);
    if (status != SC_OK)
        return status;
    if (info->bits_allocated == 8) {
        const Uint8 *samples = nullptr;
        if (set->findAndGetUint8Array(DCM_PixelData, samples, &count).bad())
            return damaged(error, "its pixel data cannot be read");
        *data = samples;
    } else {
        const Uint16 *samples = nullptr;
        if (set->findAndGetUint16Array(DCM_PixelData, samples, &count).bad())
            return damaged(error, "its pixel data cannot be read");
        *data = samples;
        count *= 2;
    }
    *bytes = *data ? count : 0;
    return SC_OK;
}

sc_status read_pixels(sc_dicom_file *file, sc_dicom_info *info, const void **data, size_t *bytes, sc_error *error) {
    *data = nullptr;
    *bytes = 0;
    return guarded(error, [&] {
        DcmElement *element = nullptr;
        DcmDataset *set = file->format.getDataset();
        if (set->findAndGetElement(DCM_PixelData, element).bad())
            return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: %s",
                                set->tagExists(DCM_FloatPixelData) || set->tagExists(DCM_DoubleFloatPixelData)
                                    ? "its pixels are floating-point numbers, which are not read"
                                    : "it holds no pixel data");
        auto *pixels = dynamic_cast<DcmPixelData *>(element); // a damaged file can give it any type
        if (!pixels)
            return damaged(error, "its pixel data are of another type");
        E_TransferSyntax original = EXS_Unknown;
        const DcmRepresentationParameter *parameter = nullptr;
        pixels->getOriginalRepresentationKey(original, parameter);
        DcmXfer syntax(original);
        if (original == EXS_JPEG2000 || original == EXS_JPEG2000LosslessOnly) {
            sc_status status = decode_jpeg2000(file, info, *pixels, syntax, error);
            *data = file->decoded.data();
            *bytes = file->decoded.size();
            return status;
        }
        if (syntax.isEncapsulated() && !DcmCodecList::canChangeCoding(original, EXS_LittleEndianExplicit))
            return sc_error_set(error, SC_ERROR_FORMAT, "DICOM: pixels compressed as '%s' are not read",
                                syntax.getXferName());
        sc_status status = syntax.isEncapsulated() ? check_compressed(*pixels, syntax, *info, error) : SC_OK;
        return status == SC_OK ? read_plain(file, info, data, bytes, error) : status;
    });
}

void close_file(sc_dicom_file *file) {
    sc_error unused;
    guarded(&unused, [&] {
        delete file;
        return SC_OK;
    });
}

} // namespace

extern "C" {
extern SC_CODEC_EXPORT const sc_dicom_reader sc_codec_table;
const sc_dicom_reader sc_codec_table = {SC_CODEC_VERSION, open_file, read_pixels, close_file};
}
