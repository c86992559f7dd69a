import org.mustangproject.validator.ZUGFeRDValidator;

/** What Mustang says of each file: its name, and its report. */
public class Validate {
    public static void main(String[] files) {
        for (String file : files) {
            ZUGFeRDValidator validator = new ZUGFeRDValidator();
            validator.disableNotices();
            System.out.println("FILE " + file);
            System.out.println(validator.validate(file));
        }
    }
}
