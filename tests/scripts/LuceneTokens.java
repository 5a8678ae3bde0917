import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.es.SpanishAnalyzer;
import org.apache.lucene.analysis.fr.FrenchAnalyzer;
import org.apache.lucene.analysis.ja.JapaneseAnalyzer;
import org.apache.lucene.analysis.th.ThaiAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;

/** Tokens of Lucene's analysers: one text a line from standard input, its tokens with tabs between them to output. */
public class LuceneTokens {
    public static void main(String[] arguments) throws Exception {
        Function<String, List<String>> cut = switch (arguments[0]) {
            case "thai words" -> LuceneTokens::thaiWords;
            case "thai" -> analysis(new ThaiAnalyzer());
            case "french" -> analysis(new FrenchAnalyzer());
            case "spanish" -> analysis(new SpanishAnalyzer());
            case "japanese" -> analysis(new JapaneseAnalyzer());
            default -> throw new IllegalArgumentException(arguments[0]);
        };
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        PrintStream output = new PrintStream(System.out, false, "UTF-8");
        for (String text = input.readLine(); text != null; text = input.readLine()) {
            output.println(String.join("\t", cut.apply(text)));
        }
        output.flush();
    }

    /** All pieces of a text, spaces and marks too, as Lucene's ThaiTokenizer gets them from Java. */
    private static List<String> thaiWords(String text) {
        BreakIterator iterator = BreakIterator.getWordInstance(new Locale("th"));
        iterator.setText(text);
        List<String> pieces = new ArrayList<>();
        int start = iterator.first();
        for (int end = iterator.next(); end != BreakIterator.DONE; start = end, end = iterator.next()) {
            pieces.add(text.substring(start, end));
        }
        return pieces;
    }

    private static Function<String, List<String>> analysis(Analyzer analyzer) {
        return text -> {
            List<String> tokens = new ArrayList<>();
            try (TokenStream stream = analyzer.tokenStream("text", text)) {
                CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
                stream.reset();
                while (stream.incrementToken()) {
                    tokens.add(term.toString());
                }
                stream.end();
            } catch (java.io.IOException problem) {
                throw new java.io.UncheckedIOException(problem);
            }
            return tokens;
        };
    }
}
