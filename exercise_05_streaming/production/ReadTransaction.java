package exercise_05_streaming.production;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamReadConstraints;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.functions.ScalarFunction;

/** The fields of a message in one row, or the reason why it cannot be read. */
public class ReadTransaction extends ScalarFunction {
    /** An object may hold values of other readers; only their depth is limited, as in verify.py. */
    private static final int DEPTH = 100;
    private static final JsonFactory JSON = JsonFactory.builder()
        .streamReadConstraints(StreamReadConstraints.builder()
            .maxNestingDepth(DEPTH)
            .maxNumberLength(Integer.MAX_VALUE)
            .maxNameLength(Integer.MAX_VALUE)
            .build())
        .build();
    private static final String BYTE_ORDER_MARK = "\uFEFF";
    /** Limits the length: BigDecimal needs minutes for 1e300000000, and for a megabyte of digits. */
    private static final Pattern AMOUNT =
        Pattern.compile("[0-9]{1,18}([.][0-9]{0,40})?([eE][+-]?[0-9]{1,2})?");
    /** Without a zone it is UTC; what is below a millisecond is cut. */
    private static final Pattern TIME = Pattern.compile(
        "([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})"
            + "(([.][0-9]{1,3})[0-9]{0,6})?(Z|[+]00:00)?");
    private static final int DIGITS = 12;
    /** The user is in the key of a tile, and Kafka limits the size of a record. */
    private static final int USER_LENGTH = 256;

    /** `ahead_ms` is how far the event's own time is ahead of that at which Kafka got it. */
    @DataTypeHint(
        value = "ROW<malformed STRING, user_id STRING, transaction_id STRING, cents BIGINT,"
            + " declined BOOLEAN, event_ms BIGINT, ahead_ms BIGINT>",
        bridgedTo = RowData.class)
    public RowData eval(
            @DataTypeHint("BYTES") byte[] message,
            @DataTypeHint(value = "TIMESTAMP(3)", bridgedTo = TimestampData.class)
                TimestampData recordTime) {
        return message == null ? malformed("no_value") : read(message, recordTime.getMillisecond());
    }

    /** Flink puts what is deterministic wherever its name is used, and would read a message again. */
    @Override
    public boolean isDeterministic() {
        return false;
    }

    private static RowData read(byte[] message, long recordMs) {
        Map<String, String> fields = scalars(message);
        if (fields == null) {
            return malformed("not_json");
        }
        String user = fields.get("user_id");
        if (user == null || user.isEmpty()) {
            return malformed("missing_user");
        }
        if (user.codePointCount(0, user.length()) > USER_LENGTH) {
            return malformed("bad_user");
        }
        String amount = fields.get("amount");
        Long cents = amount == null ? null : cents(amount);
        if (cents == null) {
            return malformed(amount == null ? "missing_amount" : "bad_amount");
        }
        Long eventMs = milliseconds(fields.get("event_time"));
        if (eventMs == null) {
            return malformed("bad_time");
        }
        String id = fields.get("transaction_id");
        StringData transaction = id == null || id.isBlank() ? null : StringData.fromString(id);
        boolean declined = "false".equals(fields.get("is_approved"));
        return GenericRowData.of(null, StringData.fromString(user), transaction, cents, declined,
            eventMs, eventMs - recordMs);
    }

    private static RowData malformed(String reason) {
        return GenericRowData.of(StringData.fromString(reason), null, null, null, null, null, null);
    }

    /** An object's fields as they are written, so that cents are exact; null if it is no object. */
    private static Map<String, String> scalars(byte[] message) {
        Map<String, String> fields = new HashMap<>();
        try (JsonParser json = JSON.createParser(text(message))) {
            if (json.nextToken() != JsonToken.START_OBJECT) {
                return null;
            }
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = json.currentName();
                JsonToken value = json.nextToken();
                boolean isText = value.isScalarValue() && value != JsonToken.VALUE_NULL;
                String text = isText ? json.getText() : null;
                fields.put(name, isText && isUnicode(text) ? text : null);
                json.skipChildren();
            }
            return json.nextToken() == null ? fields : null;
        } catch (IOException malformed) {
            return null;
        }
    }

    /** A message as text. CharacterCodingException for other bytes than UTF-8: Jackson reads some. */
    private static String text(byte[] message) throws IOException {
        String text =
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(message)).toString();
        return text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
    }

    /** False for half of a surrogate pair: of two such users Flink would make one. */
    private static boolean isUnicode(String text) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(text);
    }

    /** Rounded half up; null for what is no amount, from ten billion on. */
    private static Long cents(String amount) {
        if (!AMOUNT.matcher(amount).matches()) {
            return null;
        }
        BigDecimal exact = new BigDecimal(amount).setScale(2, RoundingMode.HALF_UP);
        return exact.precision() <= DIGITS ? exact.unscaledValue().longValue() : null;
    }

    private static Long milliseconds(String time) {
        Matcher found = TIME.matcher(time == null ? "" : time);
        if (!found.matches()) {
            return null;
        }
        try {
            String fraction = found.group(4) == null ? "" : found.group(4);
            return LocalDateTime.parse(found.group(1) + "T" + found.group(2) + fraction)
                .toInstant(ZoneOffset.UTC).toEpochMilli();
        } catch (DateTimeException noSuchTime) {
            return null;
        }
    }
}
